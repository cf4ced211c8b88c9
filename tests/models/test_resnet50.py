from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.initializers import HeNormal, initialize
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
def test_the_parameters_names(meta, version: int) -> None:
    """They are part of the random streams that draw their values."""
    net = meta(ResNet50(version=version), (3, 224, 224))
    assert {name for name, _ in net.named_parameters()} == expected_names(version)


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


@torch.no_grad()
def test_same_padding_is_of_the_stem_and_its_pooling() -> None:
    net = ResNet50(width=0.125, padding="same").build((3, 32, 32), 5, 0.0).double()
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    layer = parameters_under(net, "blocks.0.stem")
    x = F.relu(layer(layer(F.pad(images, (2, 3, 2, 3)), "conv", 2), "norm"))
    torch.testing.assert_close(net.blocks[0].stem(images), F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 3, 2))
    others = [m for name, m in net.named_modules() if isinstance(m, nn.Conv2d) and "stem" not in name]
    assert {m.kernel_size for m in others if m.stride == (2, 2)} == {(1, 1)}
