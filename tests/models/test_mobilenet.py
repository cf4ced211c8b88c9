from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.mobilenet import MobileNet

LAYERS = ("0.separable", "1", "2", "3", "4", "5", "6.separable1", "6.separable2")
PARAMETERS = {f"blocks.{layer}.{kernel}.weight" for layer in LAYERS for kernel in ("depthwise", "pointwise")}
PARAMETERS |= {
    f"blocks.{layer}.{norm}.{w}" for layer in LAYERS for norm in ("norm1", "norm2") for w in ("weight", "bias")
}
PARAMETERS |= {"blocks.0.stem.conv.weight", "blocks.0.stem.norm.weight", "blocks.0.stem.norm.bias"}
PARAMETERS |= {"top.head.weight", "top.head.bias"}


def test_the_parameters_names(meta) -> None:
    """They are part of the random streams that draw their values."""
    assert {name for name, _ in meta(MobileNet(), (3, 32, 32)).named_parameters()} == PARAMETERS


def separable_by_hand(net: BlockNet, prefix: str, x: Tensor, stride: int) -> Tensor:
    named = {name.removeprefix(f"{prefix}."): value for name, value in net.named_parameters()}
    x = F.conv2d(x, named["depthwise.weight"], stride=stride, padding=1, groups=x.shape[1])
    x = F.relu(F.group_norm(x, 1, named["norm1.weight"], named["norm1.bias"], eps=1e-3))
    x = F.conv2d(x, named["pointwise.weight"])
    return F.relu(F.group_norm(x, 1, named["norm2.weight"], named["norm2.bias"], eps=1e-3))


@torch.no_grad()
def test_blocks_by_hand() -> None:
    net = MobileNet(width=0.125).build((3, 16, 16), 5, 0.0).double()
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = F.conv2d(images, net.blocks[0].stem.conv.weight, stride=2, padding=1)
    x = F.relu(F.group_norm(x, 1, eps=1e-3))
    for layer, stride, block in zip(LAYERS, (1, 2, 1, 2, 1, 2, 2, 1), (1, 2, 3, 4, 5, 6, None, 7), strict=True):
        x = separable_by_hand(net, f"blocks.{layer}", x, stride)
        if block is not None:
            torch.testing.assert_close(net.block_output(images, block), x)


def test_single_blocks_are_the_stem_and_six_layers_with_two_above(meta, block_shapes) -> None:
    net = meta(MobileNet(grouping="single"), (3, 224, 224))
    assert net.num_blocks == 7
    places = {"0.stem": "blocks.0", "0.separable": "blocks.1"}
    places |= {str(k): f"blocks.{k + 1}" for k in range(1, 6)}
    places |= {f"6.separable{n}": f"top.separable{n}" for n in (1, 2)}
    expected = {name for name in PARAMETERS if name.startswith("top.")}
    for name in PARAMETERS - expected:
        place = next(place for place in places if name.startswith(f"blocks.{place}."))
        expected.add(name.replace(f"blocks.{place}.", f"{places[place]}."))
    assert {name for name, _ in net.named_parameters()} == expected
    assert {name for name in net.names_in_top() if name.endswith("pointwise.weight")} == {
        "top.separable1.pointwise.weight",
        "top.separable2.pointwise.weight",
    }
    shapes = [(32, 112, 112), (64, 112, 112), (128, 56, 56), (128, 56, 56), (256, 28, 28), (256, 28, 28), (512, 14, 14)]
    assert block_shapes(net, (3, 224, 224)) == [*shapes, (1000,)]


@torch.no_grad()
def test_the_grouping_does_not_change_the_function() -> None:
    joined, single = (MobileNet(width=0.125, grouping=name).build((1, 16, 16), 5, 0.0) for name in ("joined", "single"))
    for ours, theirs in zip(single.parameters(), joined.parameters(), strict=True):
        ours.copy_(theirs)
    x = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(single(x), joined(x))


@torch.no_grad()
def test_same_padding_by_hand() -> None:
    net = MobileNet(width=0.125, padding="same").build((3, 16, 16), 5, 0.0).double()
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = F.relu(
        F.group_norm(F.conv2d(F.pad(images, (0, 1, 0, 1)), net.blocks[0].stem.conv.weight, stride=2), 1, eps=1e-3)
    )
    named = dict(net.named_parameters())
    # 16 pixels become 8, 8, 4, 4, 2, 2, 1: always (0, 1) where a stride meets an even size.
    for layer, stride in zip(LAYERS, (1, 2, 1, 2, 1, 2, 2, 1), strict=True):
        sides = (0, 1, 0, 1) if stride == 2 and x.shape[2] % 2 == 0 else (1, 1, 1, 1)
        depthwise = named[f"blocks.{layer}.depthwise.weight"]
        x = F.conv2d(F.pad(x, sides), depthwise, stride=stride, groups=x.shape[1])
        x = F.relu(F.group_norm(x, 1, eps=1e-3))
        x = F.relu(F.group_norm(F.conv2d(x, named[f"blocks.{layer}.pointwise.weight"]), 1, eps=1e-3))
    torch.testing.assert_close(net.block_output(images, 7), x)
