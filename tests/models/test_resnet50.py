from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from reinit_bench.core.settings import ConfigError
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.initializers import HeNormal, initialize
from reinit_bench.models.resnet50 import ResNet50

FIRST_OF_STAGE = (1, 4, 8, 14)
FILTERS = [256] * 3 + [512] * 4 + [1024] * 6 + [2048] * 3
AT_224 = [56] * 3 + [28] * 4 + [14] * 6 + [7] * 3


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

    def layer(x: Tensor, name: str, stride: int = 1, padding: int = 0) -> Tensor:
        weight, bias = named[f"{prefix}.{name}.weight"], named.get(f"{prefix}.{name}.bias")
        if weight.dim() == 1:
            return F.group_norm(x, 1, weight, bias, eps=1e-3)
        return F.conv2d(x, weight, bias, stride=stride, padding=padding)

    return layer


def stem_by_hand(net: BlockNet, x: Tensor) -> Tensor:
    layer = parameters_under(net, "blocks.0.stem")
    return F.max_pool2d(F.relu(layer(layer(x, "conv", 2, 3), "norm")), 3, 2, 1)


def branch_by_hand(layer: Callable[..., Tensor], x: Tensor, stride: int) -> Tensor:
    x = F.relu(layer(layer(x, "branch.conv1", stride), "branch.norm1"))
    x = F.relu(layer(layer(x, "branch.conv2", 1, 1), "branch.norm2"))
    return layer(x, "branch.conv3")


def expected_names(version: int) -> set[str]:
    names = {"blocks.0.stem.conv.weight", "top.head.weight", "top.head.bias"}
    norms = ["blocks.0.stem.norm"]
    for k in range(1, 17):
        block = f"blocks.{k - 1}"
        if k == 1 or (k == 16 and version == 2):
            block += ".residual"
        names |= {f"{block}.branch.conv{n}.weight" for n in (1, 2, 3)}
        norms += [f"{block}.branch.norm{n}" for n in ((1, 2, 3) if version == 1 else (1, 2))]
        if k in FIRST_OF_STAGE:
            names.add(f"{block}.shortcut.conv.weight" if version == 1 else f"{block}.projection.weight")
            norms += [f"{block}.shortcut.norm"] if version == 1 else []
        norms += [f"{block}.activation.norm"] if version == 2 and k > 1 else []
    norms += ["blocks.15.norm"] if version == 2 else []
    return names | {f"{norm}.{what}" for norm in norms for what in ("weight", "bias")}


@pytest.mark.parametrize("version", [1, 2])
def test_kernels_and_head_have_the_published_size(meta, size_of, version: int) -> None:
    net = meta(ResNet50(version=version), (3, 224, 224))
    assert size_of(net, nn.Conv2d, nn.Linear) == 25_503_912
    assert {name for name, _ in net.named_parameters()} == expected_names(version)


def test_size_with_norms_is_the_published_one(meta) -> None:
    net = meta(ResNet50(), (3, 224, 224))
    assert sum(parameter.numel() for parameter in net.parameters()) == 25_557_032


@pytest.mark.parametrize("version", [1, 2])
def test_multiply_adds_are_those_of_stride_in_the_first_convolution(meta, mult_adds, version: int) -> None:
    # 3.86 billion; with the stride in the 3x3 convolutions it would be 4.09.
    assert mult_adds(meta(ResNet50(version=version), (3, 224, 224)), (3, 224, 224)) == 3_857_973_248


@pytest.mark.parametrize("version", [1, 2])
def test_block_outputs_at_224(meta, block_shapes, version: int) -> None:
    expected = [(filters, pixels, pixels) for filters, pixels in zip(FILTERS, AT_224, strict=True)]
    assert block_shapes(meta(ResNet50(version=version), (3, 224, 224)), (3, 224, 224)) == [*expected, (1000,)]


@pytest.mark.parametrize(("pixels", "stages"), [(33, [9, 5, 3, 2]), (28, [7, 4, 2, 1]), (1, [1, 1, 1, 1])])
def test_block_outputs_of_small_images(meta, block_shapes, pixels: int, stages: list[int]) -> None:
    shapes = block_shapes(meta(ResNet50(), (3, pixels, pixels), 5), (3, pixels, pixels))
    assert [shapes[k - 1][1] for k in FIRST_OF_STAGE] == stages
    assert shapes[-1] == (5,)


@pytest.mark.parametrize("k", range(1, 17))
@torch.no_grad()
def test_version_1_block_is_relu_of_shortcut_plus_branch(k: int) -> None:
    net, levels = small_run(1)
    given = stem_by_hand(net, levels[0]) if k == 1 else levels[k - 1]
    layer = parameters_under(net, "blocks.0.residual" if k == 1 else f"blocks.{k - 1}")
    stride = 2 if k in FIRST_OF_STAGE[1:] else 1
    branch = layer(branch_by_hand(layer, given, stride), "branch.norm3")
    shortcut = layer(layer(given, "shortcut.conv", stride), "shortcut.norm") if k in FIRST_OF_STAGE else given
    torch.testing.assert_close(levels[k], F.relu(shortcut + branch))
    assert levels[k].min() == 0


@pytest.mark.parametrize("k", range(1, 17))
@torch.no_grad()
def test_version_2_block_adds_the_branch_of_the_activated_input(k: int) -> None:
    net, levels = small_run(2)
    given = stem_by_hand(net, levels[0]) if k == 1 else levels[k - 1]
    layer = parameters_under(net, f"blocks.{k - 1}.residual" if k in (1, 16) else f"blocks.{k - 1}")
    stride = 2 if k in FIRST_OF_STAGE[1:] else 1
    active = given if k == 1 else F.relu(layer(given, "activation.norm"))
    shortcut = layer(active, "projection", stride) if k in FIRST_OF_STAGE else given
    expected = shortcut + branch_by_hand(layer, active, stride)
    if k == 16:
        expected = F.relu(parameters_under(net, "blocks.15")(expected, "norm"))
    torch.testing.assert_close(levels[k], expected)


def test_width(meta, block_shapes) -> None:
    net = meta(ResNet50(width=0.5), (3, 32, 32), 5)
    assert [shape[0] for shape in block_shapes(net, (3, 32, 32))] == [*(filters // 2 for filters in FILTERS), 5]
    assert net.blocks[0].stem.conv.weight.shape == (32, 3, 7, 7)
    assert net.blocks[15].branch.conv2.weight.shape == (256, 256, 3, 3)


@pytest.mark.parametrize("version", [1, 2])
def test_dropout_precedes_the_head(meta, top_order, version: int) -> None:
    net = meta(ResNet50(version=version), (3, 32, 32))
    assert top_order(net, (3, 32, 32)) == ["GlobalAveragePool", "Dropout", "Linear"]


@pytest.mark.parametrize("version", [0, 3, 1.5, "1", True])
def test_there_are_two_versions(version: object) -> None:
    with pytest.raises(ConfigError, match=r"^model\.version must be a whole number of at least 1 and at most 2; got"):
        ResNet50(version=version)


@pytest.mark.parametrize("version", [1, 2])
def test_conv_bias_gives_every_convolution_a_bias(meta, version: int) -> None:
    plain, biased = (meta(ResNet50(version=version, conv_bias=chosen), (3, 32, 32)) for chosen in (None, True))
    added = {name for name, _ in biased.named_parameters()} - {name for name, _ in plain.named_parameters()}
    convolutions = {name for name, layer in plain.named_modules() if isinstance(layer, nn.Conv2d)}
    assert len(convolutions) == 53
    assert added == {f"{name}.bias" for name in convolutions}
    # The trainable parameters of the authors' framework's version 1, which has these biases, for 1000 classes.
    if version == 1:
        assert sum(value.numel() for value in biased.parameters()) == 25_583_592


@torch.no_grad()
def test_same_padding_is_of_the_stem_and_its_pooling() -> None:
    net = ResNet50(width=0.125, padding="same").build((3, 32, 32), 5, 0.0).double()
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    layer = parameters_under(net, "blocks.0.stem")
    x = F.relu(layer(layer(F.pad(images, (2, 3, 2, 3)), "conv", 2), "norm"))
    torch.testing.assert_close(net.blocks[0].stem(images), F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 3, 2))
    others = [m for name, m in net.named_modules() if isinstance(m, nn.Conv2d) and "stem" not in name]
    assert {m.kernel_size for m in others if m.stride == (2, 2)} == {(1, 1)}
