from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from reinit_bench.core.settings import ConfigError
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.mobilenet import MobileNet

# (inputs, outputs) of the separable layers of Howard et al. (2017), Table 1, without the five of 512 at 14x14.
SEPARABLE = ((32, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 1024), (1024, 1024))
OUTPUTS = (64, 128, 128, 256, 256, 512, 1024)
AT_224 = (112, 56, 56, 28, 28, 14, 7)
LAYERS = ("0.separable", "1", "2", "3", "4", "5", "6.separable1", "6.separable2")
PARAMETERS = {f"blocks.{layer}.{kernel}.weight" for layer in LAYERS for kernel in ("depthwise", "pointwise")}
PARAMETERS |= {
    f"blocks.{layer}.{norm}.{w}" for layer in LAYERS for norm in ("norm1", "norm2") for w in ("weight", "bias")
}
PARAMETERS |= {"blocks.0.stem.conv.weight", "blocks.0.stem.norm.weight", "blocks.0.stem.norm.bias"}
PARAMETERS |= {"top.head.weight", "top.head.bias"}


def test_size_is_the_published_2_9_million(meta, size_of) -> None:
    net = meta(MobileNet(), (3, 224, 224))
    convs = 9 * 3 * 32 + sum(9 * inputs + inputs * outputs for inputs, outputs in SEPARABLE)
    assert size_of(net, nn.Conv2d) == convs == 1_851_328
    assert size_of(net, nn.Linear) == 1024 * 1000 + 1000
    assert size_of(net, nn.GroupNorm) == 2 * (32 + sum(inputs + outputs for inputs, outputs in SEPARABLE))
    assert round(size_of(net, nn.Conv2d, nn.Linear) / 1e6, 1) == 2.9
    assert {name for name, _ in net.named_parameters()} == PARAMETERS


def test_multiply_adds_are_the_published_307_million(meta, mult_adds) -> None:
    assert round(mult_adds(meta(MobileNet(), (3, 224, 224)), (3, 224, 224)) / 1e6) == 307


def test_block_outputs_at_224(meta, block_shapes) -> None:
    expected = [(filters, pixels, pixels) for filters, pixels in zip(OUTPUTS, AT_224, strict=True)]
    assert block_shapes(meta(MobileNet(), (3, 224, 224)), (3, 224, 224)) == [*expected, (1000,)]


@pytest.mark.parametrize(
    ("pixels", "expected"), [(33, [17, 9, 9, 5, 5, 3, 2]), (28, [14, 7, 7, 4, 4, 2, 1]), (1, [1] * 7)]
)
def test_block_outputs_of_small_images(meta, block_shapes, pixels: int, expected: list[int]) -> None:
    shapes = block_shapes(meta(MobileNet(), (3, pixels, pixels), 5), (3, pixels, pixels))
    assert [shape[1] for shape in shapes[:-1]] == expected
    assert shapes[-1] == (5,)


def test_depthwise_convolutions_have_one_filter_per_channel(meta) -> None:
    net = meta(MobileNet(), (3, 32, 32))
    depthwise = [module for name, module in net.named_modules() if name.endswith("depthwise")]
    assert [tuple(module.weight.shape) for module in depthwise] == [(inputs, 1, 3, 3) for inputs, _ in SEPARABLE]


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


def test_width(meta, block_shapes) -> None:
    net = meta(MobileNet(width=0.25), (3, 32, 32), 5)
    assert [shape[0] for shape in block_shapes(net, (3, 32, 32))] == [*(outputs // 4 for outputs in OUTPUTS), 5]
    assert net.blocks[0].stem.conv.weight.shape == (8, 3, 3, 3)


def test_dropout_precedes_the_head(meta, top_order) -> None:
    assert top_order(meta(MobileNet(), (3, 32, 32)), (3, 32, 32)) == ["GlobalAveragePool", "Dropout", "Linear"]


def test_an_empty_image_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        MobileNet().build((3, 0, 0), 10, 0.0)
    assert str(caught.value) == "mobilenet needs image_size of at least 1; got 0"


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


def test_conv_bias(meta) -> None:
    net = meta(MobileNet(conv_bias=True), (3, 32, 32))
    biases = {
        name.replace("norm1", "depthwise").replace("norm2", "pointwise").replace("stem.norm", "stem.conv")
        for name in PARAMETERS
        if "norm" in name and name.endswith(".bias")
    }
    assert {name for name, _ in net.named_parameters()} == PARAMETERS | biases
    assert {name for name, _ in meta(MobileNet(conv_bias=False), (3, 32, 32)).named_parameters()} == PARAMETERS


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"grouping": "pairs"}, "model.grouping must be one of joined, single; got 'pairs'"),
        ({"padding": "valid"}, "model.padding must be one of symmetric, same; got 'valid'"),
        ({"conv_bias": "yes"}, "model.conv_bias must be true or false (or null); got 'yes'"),
        (
            {"conv_bias": False, "norm": "none"},
            "model.conv_bias=false does not go with model.norm=none: biases take the norms' place",
        ),
    ],
)
def test_bad_values_are_refused_in_one_line(setting: dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        MobileNet(**setting)
    assert str(caught.value) == message
