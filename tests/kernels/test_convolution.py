"""Convolutions computed as matrix products give torch's values and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from reinit_bench.kernels import convolution
from reinit_bench.models.layers import Conv


def results(layer: nn.Conv2d, x: Tensor) -> list[Tensor]:
    x = x.detach().requires_grad_()
    layer.weight.grad = None
    y = layer(x)
    (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()
    assert x.grad is not None
    assert layer.weight.grad is not None
    return [y.detach(), x.grad, layer.weight.grad]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 2), (4, 1), (2, 1), (4, 4), (3, 5)])
@pytest.mark.parametrize(("groups", "window", "outputs"), [(1, 1, 5), (6, 3, 6), (6, 5, 6), (2, 3, 6), (1, 3, 5)])
def test_values_and_gradients_are_torchs(
    stride: int, size: tuple[int, int], groups: int, window: int, outputs: int
) -> None:
    layer = Conv(6, outputs, window, stride=stride, padding=window // 2, groups=groups, bias=False)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 6, *size, generator=generator).to(memory_format=torch.channels_last)
    plain = nn.Conv2d(6, outputs, window, stride=stride, padding=window // 2, groups=groups, bias=False)
    plain.load_state_dict(layer.state_dict())
    for found, expected in zip(results(layer, x), results(plain, x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_small_images_take_the_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values cannot tell which path was taken."""
    taken = []

    torchs = functional.conv2d

    def noted(x: Tensor, *arguments: Any) -> Tensor:
        taken.append(x.shape[-1])
        return torchs(x, *arguments)

    monkeypatch.setattr(functional, "conv2d", noted)
    depthwise, pointwise, dense = (
        Conv(4, 4, 3, padding=1, groups=4, bias=False),
        Conv(4, 8, 1, bias=False),
        Conv(4, 4, 3),
    )
    for size in (1, 2, 3, 4, 5, 8):
        depthwise(torch.zeros(1, 4, size, size))
    assert taken == [3, 4, 5, 8]
    taken.clear()
    for size in (1, 4, 5):
        pointwise(torch.zeros(1, 4, size, size))
    assert taken == [5]
    dense(torch.zeros(1, 4, 3, 3))
    assert taken == [5, 3]


def test_the_result_stays_channels_last() -> None:
    x = torch.zeros(3, 6, 2, 2).to(memory_format=torch.channels_last)
    assert convolution.pointwise(x, torch.zeros(5, 6, 1, 1)).is_contiguous(memory_format=torch.channels_last)
    y = convolution.depthwise(x, torch.zeros(6, 1, 3, 3), (1, 1), (1, 1), (1, 1))
    assert y.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (2, 1), (4, 4), (8, 6)])
@pytest.mark.parametrize(("groups", "with_bias"), [(6, False), (6, True), (1, False)])
def test_other_padding_after_than_before(size: tuple[int, int], groups: int, with_bias: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 6, *size, generator=generator).to(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(6, 6 // groups, 3, 3, generator=generator).requires_grad_()
    bias = torch.randn(6, generator=generator).requires_grad_() if with_bias else None
    # Two rows at the bottom, one column at the left, one at the right.
    found = convolution.convolution(x, weight, bias, stride=(2, 2), padding=(0, 1), padding_after=(2, 1), groups=groups)
    expected = functional.conv2d(functional.pad(x, (1, 1, 0, 2)), weight, bias, stride=2, groups=groups)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    inputs = [value for value in (x, weight, bias) if value is not None]
    seeds = torch.linspace(-1, 1, expected.numel()).view_as(expected)
    pairs = [torch.autograd.grad((y * seeds).sum(), inputs) for y in (found, expected)]
    for ours, torchs in zip(*pairs, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-5, atol=1e-5)
