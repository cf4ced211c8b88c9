"""The paper's networks: published sizes, blocks, order and biases; and computed by hand from their parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from reinit_bench.core.settings import ConfigError
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.initializers import HeNormal, initialize
from reinit_bench.models.layers import ImageArchitecture
from reinit_bench.models.mlp import Mlp
from reinit_bench.models.mobilenet import MobileNet
from reinit_bench.models.resnet50 import ResNet50
from reinit_bench.models.scnn import Scnn
from reinit_bench.models.vgg16 import Vgg16

NETWORKS: dict[str, Callable[..., ImageArchitecture]] = {
    "scnn": Scnn,
    "vgg16": Vgg16,
    "mobilenet": MobileNet,
    "mobilenet single": lambda **fields: MobileNet(grouping="single", **fields),
    "resnet50": ResNet50,
    "resnet50 v2": lambda **fields: ResNet50(version=2, **fields),
}
SIZES = {
    "scnn": (28 * 32 + 289 * 32 + 289 * 64 + 577 * 64) + (64 * 56 * 56 + 1) * 512 + 513 * 1000,
    "vgg16": 138_357_544,
    "mobilenet": 1_851_328 + 1_025_000,
    "resnet50": 25_503_912,
    "resnet50 v2": 25_503_912,
}
SIZES["mobilenet single"] = SIZES["mobilenet"]
"""Of convolutions and dense layers, for 1000 classes."""
NORM_SIZES = {
    "scnn": 2 * 704,
    "vgg16": 2 * (4224 + 2 * 4096),
    "mobilenet": 2 * 5824,
    "mobilenet single": 2 * 5824,
    "resnet50": 53_120,
}

FILTERS = {
    "scnn": [32, 32, 64, 64],
    "vgg16": [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6,
    "mobilenet": [64, 128, 128, 256, 256, 512, 1024],
    "mobilenet single": [32, 64, 128, 128, 256, 256, 512],
    "resnet50": [256] * 3 + [512] * 4 + [1024] * 6 + [2048] * 3,
}
PIXELS = {
    ("scnn", 224): [224, 112, 112, 56],
    ("scnn", 9): [9, 4, 4, 2],
    ("scnn", 4): [4, 2, 2, 1],
    ("vgg16", 224): [224, 112, 112, 56, 56, 56, 28, 28, 28, 14, 14, 14, 7],
    ("vgg16", 32): [32, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2, 1],
    ("mobilenet", 224): [112, 56, 56, 28, 28, 14, 7],
    ("mobilenet single", 224): [112, 112, 56, 56, 28, 28, 14],
    ("mobilenet", 33): [17, 9, 9, 5, 5, 3, 2],
    ("mobilenet", 28): [14, 7, 7, 4, 4, 2, 1],
    ("mobilenet", 1): [1] * 7,
    ("resnet50", 224): [56] * 3 + [28] * 4 + [14] * 6 + [7] * 3,
    ("resnet50", 33): [9] * 3 + [5] * 4 + [3] * 6 + [2] * 3,
    ("resnet50 v2", 28): [7] * 3 + [4] * 4 + [2] * 6 + [1] * 3,
}

DENSE = ["Linear", "Norm", "Dropout"]
POOLED = ["GlobalAveragePool", "Dropout", "Linear"]
TOP = {"scnn": ["Flatten", *DENSE, "Linear"], "vgg16": ["Flatten", *DENSE, *DENSE, "Linear"]}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_published_size(meta, name: str) -> None:
    layers = list(meta(NETWORKS[name](), (3, 224, 224)).modules())
    norms = sum(value.numel() for layer in layers if isinstance(layer, nn.GroupNorm) for value in layer.parameters())
    kernels = [layer for layer in layers if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert sum(value.numel() for layer in kernels for value in layer.parameters()) == SIZES[name]
    assert norms == NORM_SIZES.get(name, norms)


NAMES = {
    "scnn": "2703bd59d4e65c7d",
    "vgg16": "85cffb95a8f5371b",
    "mobilenet": "87939b6a3b84281b",
    "mobilenet single": "f857e9b0a3d72844",
    "resnet50": "010baea69a188160",
    "resnet50 v2": "4d15f46db38246af",
}


@pytest.mark.parametrize("name", NAMES)
def test_the_parameters_names_never_change(meta, name: str) -> None:
    """They are part of the random streams that draw their values."""
    names = sorted(name for name, _ in meta(NETWORKS[name](), (3, 32, 32)).named_parameters())
    assert sha256("\n".join(names).encode()).hexdigest()[:16] == NAMES[name], names


@pytest.mark.parametrize(("name", "size"), PIXELS)
def test_block_outputs(meta, block_shapes, name: str, size: int) -> None:
    filters = FILTERS[name.removesuffix(" v2")]
    expected = [(channels, pixels, pixels) for channels, pixels in zip(filters, PIXELS[name, size], strict=True)]
    assert block_shapes(meta(NETWORKS[name](), (3, size, size), 7), (3, size, size)) == [*expected, (7,)]


@pytest.mark.parametrize("name", ["scnn", "vgg16"])
def test_images_need_not_be_square_nor_coloured(meta, block_shapes, name: str) -> None:
    assert block_shapes(meta(NETWORKS[name](), (1, 32, 70), 5), (1, 32, 70))[-1] == (5,)


@pytest.mark.parametrize("name", ["scnn", "vgg16", "mobilenet", "resnet50", "resnet50 v2"])
def test_the_order_above_the_last_block(meta, name: str) -> None:
    net = meta(NETWORKS[name](), (3, 32, 32), 10, 0.25)
    seen: list[str] = []
    for layer in net.top.modules():
        if not list(layer.children()):
            layer.register_forward_hook(lambda layer, _, __: seen.append(type(layer).__name__))
    net(torch.empty(1, 3, 32, 32, device="meta"))
    assert seen == TOP.get(name, POOLED)


@pytest.mark.parametrize("name", NETWORKS)
def test_conv_bias_is_of_all_convolutions_and_of_them_alone(meta, name: str) -> None:
    without, biased = (
        dict(meta(NETWORKS[name](conv_bias=chosen), (3, 32, 32)).named_parameters()) for chosen in (False, True)
    )
    convolutions = {parameter for parameter, value in biased.items() if value.dim() == 4}
    assert biased.keys() - without.keys() == {parameter.replace(".weight", ".bias") for parameter in convolutions}
    assert name != "resnet50" or sum(value.numel() for value in biased.values()) == 25_583_592, "as the frameworks'"
    usual = meta(NETWORKS[name](), (3, 32, 32))
    assert {parameter for parameter, _ in usual.named_parameters()} == set(
        biased if name in ("scnn", "vgg16") else without
    )


REFUSED = [
    (lambda: Scnn().build((3, 3, 8), 10, 0.0), "scnn needs image_size of at least 4 (2 2x2 poolings); got 3"),
    (lambda: Vgg16().build((3, 99, 31), 10, 0.0), "vgg16 needs image_size of at least 32 (5 2x2 poolings); got 31"),
    (lambda: MobileNet().build((3, 0, 0), 10, 0.0), "mobilenet needs image_size of at least 1; got 0"),
    (
        lambda: Scnn().build((64,), 10, 0.0),
        "scnn needs images, but the dataset gives inputs of shape 64; try model=mlp",
    ),
    (
        lambda: Mlp().build((1, 8, 8), 10, 0.0),
        "mlp needs feature vectors, but the dataset gives inputs of shape 1x8x8; try model=scnn",
    ),
    (lambda: Scnn(norm_epsilon=0), "model.norm_epsilon must be a number above 0; got 0"),
    (lambda: ResNet50(version=3), "model.version must be a whole number of at least 1 and at most 2; got 3"),
    (lambda: MobileNet(grouping="pairs"), "model.grouping must be one of joined, single; got 'pairs'"),
    (
        lambda: MobileNet(conv_bias=False, norm="none"),
        "model.conv_bias=false does not go with model.norm=none: biases take the norms' place",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_does_not_go_is_refused_in_one_line(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message


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
