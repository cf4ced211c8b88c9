"""MobileNet, ResNet-50 and the MLP, computed by hand from their parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.initializers import HeNormal, initialize
from reinit_bench.models.mlp import Mlp
from reinit_bench.models.mobilenet import MobileNet
from reinit_bench.models.resnet50 import ResNet50

FIRST_OF_STAGE = (1, 4, 8, 14)


@cache
@torch.no_grad()
def small_run(version: int) -> tuple[BlockNet, list[Tensor]]:
    """A narrow network, and the images with every block's output above them."""
    net = ResNet50(width=0.125, version=version).build((3, 64, 64), 5, 0.0).double()
    unlike_identity(net)
    levels = [torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2), dtype=torch.float64)]
    for block in net.blocks:
        levels.append(block(levels[-1]))
    return net, levels


def unlike_identity(net: BlockNet) -> None:
    """Initial values whose norms have scales and shifts, so that leaving one out shows."""
    initialize(net, HeNormal(), 0)
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.GroupNorm):
            module.weight.uniform_(0.5, 1.5, generator=generator)
            module.bias.uniform_(-0.5, 0.5, generator=generator)


def parameters_under(net: BlockNet, prefix: str) -> Callable[..., Tensor]:
    """Layers by hand: `layer(x, "conv1", stride=2)` convolves, `layer(x, "norm1")` normalizes."""
    named = dict(net.named_parameters())

    def layer(x: Tensor, name: str, stride: int = 1, padding: int = 0, groups: int = 1) -> Tensor:
        weight, bias = named[f"{prefix}.{name}.weight"], named.get(f"{prefix}.{name}.bias")
        if weight.dim() == 1:
            return F.group_norm(x, 1, weight, bias, eps=1e-3)
        return F.conv2d(x, weight, bias, stride=stride, padding=padding, groups=groups)

    return layer


def stem_by_hand(net: BlockNet, x: Tensor) -> Tensor:
    layer = parameters_under(net, "blocks.0.stem")
    return F.max_pool2d(F.relu(layer(layer(x, "conv", 2, 3), "norm")), 3, 2, 1)


def branch_by_hand(layer: Callable[..., Tensor], x: Tensor, stride: int) -> Tensor:
    x = F.relu(layer(layer(x, "branch.conv1", stride), "branch.norm1"))
    x = F.relu(layer(layer(x, "branch.conv2", 1, 1), "branch.norm2"))
    return layer(x, "branch.conv3")


@pytest.mark.parametrize("k", range(1, 17))
@pytest.mark.parametrize("version", [1, 2])
@torch.no_grad()
def test_a_resnets_block_is_a_shortcut_plus_a_branch(version: int, k: int) -> None:
    """Of version 1 the sum is activated, of version 2 the input."""
    net, levels = small_run(version)
    given = stem_by_hand(net, levels[0]) if k == 1 else levels[k - 1]
    layer = parameters_under(net, f"blocks.{k - 1}{'.residual' if k == 1 or (version, k) == (2, 16) else ''}")
    stride = 2 if k in FIRST_OF_STAGE[1:] else 1
    active = given if k == 1 or version == 1 else F.relu(layer(given, "activation.norm"))
    branch, shortcut = branch_by_hand(layer, active, stride), given
    if version == 1:
        branch = layer(branch, "branch.norm3")
    if k in FIRST_OF_STAGE and version == 1:
        shortcut = layer(layer(given, "shortcut.conv", stride), "shortcut.norm")
    elif k in FIRST_OF_STAGE:
        shortcut = layer(active, "projection", stride)
    expected = shortcut + branch
    if k == 16 and version == 2:
        expected = parameters_under(net, "blocks.15")(expected, "norm")
    torch.testing.assert_close(levels[k], F.relu(expected) if version == 1 or k == 16 else expected)


@torch.no_grad()
def test_a_resnets_same_padding_is_of_the_stem_and_its_pooling() -> None:
    net = ResNet50(width=0.125, padding="same").build((3, 32, 32), 5, 0.0).double()
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    layer = parameters_under(net, "blocks.0.stem")
    x = F.relu(layer(layer(F.pad(images, (2, 3, 2, 3)), "conv", 2), "norm"))
    torch.testing.assert_close(net.blocks[0].stem(images), F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 3, 2))
    others = [m for name, m in net.named_modules() if isinstance(m, nn.Conv2d) and "stem" not in name]
    assert {m.kernel_size for m in others if m.stride == (2, 2)} == {(1, 1)}


LAYERS = ("0.separable", "1", "2", "3", "4", "5", "6.separable1", "6.separable2")
"""Of a MobileNet."""


@pytest.mark.parametrize("padding", ["symmetric", "same"])
@torch.no_grad()
def test_a_mobilenets_blocks(padding: str) -> None:
    net = MobileNet(width=0.125, padding=padding).build((3, 16, 16), 5, 0.0).double()
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    same = (0, 1, 0, 1) if padding == "same" else (1, 1, 1, 1)  # where a stride meets an even size, as always here
    layer = parameters_under(net, "blocks.0.stem")
    x = F.relu(layer(layer(F.pad(images, same), "conv", 2), "norm"))
    for name, stride, block in zip(LAYERS, (1, 2, 1, 2, 1, 2, 2, 1), (1, 2, 3, 4, 5, 6, None, 7), strict=True):
        layer = parameters_under(net, f"blocks.{name}")
        sides = same if stride == 2 and x.shape[2] % 2 == 0 else (1, 1, 1, 1)
        x = F.relu(layer(layer(F.pad(x, sides), "depthwise", stride, groups=x.shape[1]), "norm1"))
        x = F.relu(layer(layer(x, "pointwise"), "norm2"))
        if block is not None:
            torch.testing.assert_close(net.block_output(images, block), x)


@torch.no_grad()
def test_a_mobilenets_grouping_does_not_change_the_function() -> None:
    joined, single = (MobileNet(width=0.125, grouping=name).build((1, 16, 16), 5, 0.0) for name in ("joined", "single"))
    for ours, theirs in zip(single.parameters(), joined.parameters(), strict=True):
        ours.copy_(theirs)
    x = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(single(x), joined(x))


def test_every_layer_of_an_mlp_is_a_block_and_nothing_is_above(meta, block_shapes) -> None:
    net = meta(Mlp(), (128,), 4)
    assert net.num_blocks == 3
    assert block_shapes(net, (128,)) == [(32,), (32,), (4,), (4,)]
    assert isinstance(net.top, nn.Identity)
    assert net.names_in_head() == ("blocks.2.head.weight", "blocks.2.head.bias")
    assert {name: tuple(value.shape) for name, value in net.named_parameters()} == {
        "blocks.0.dense.weight": (32, 128),
        "blocks.0.dense.bias": (32,),
        "blocks.1.dense.weight": (32, 32),
        "blocks.1.dense.bias": (32,),
        "blocks.2.head.weight": (4, 32),
        "blocks.2.head.bias": (4,),
    }


def test_hidden_comes_from_yaml_as_a_list_and_is_kept_as_a_tuple() -> None:
    assert Mlp(hidden=[8, 4.0]).hidden == (8, 4)
    assert Mlp(hidden=[8, 4]) == Mlp(hidden=(8, 4))
