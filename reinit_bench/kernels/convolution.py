"""Convolutions, computed in other ways where torch's are slow on the CPU: 3x3 windows and small images.

Most 3x3 convolutions are computed by `convolution_cpu`. Late in a network for small images, a layer sees one to sixteen
pixels and hundreds of channels. There, torch's gradients of depthwise kernels take fifty times as long as the few
products that they consist of, and a pointwise convolution three times as long as the equivalent matrix product
(mobilenet at 32x32, batch 256: over a third of the step).
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional

from reinit_bench.kernels import convolution_cpu

_FEW_PIXELS = 16
"""Up to this many output pixels, a pointwise convolution is computed as a matrix product."""
_TAPS_PIXELS = 4
"""Up to this many input pixels, a depthwise convolution is computed tap by tap."""


def convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    groups: int,
    padding_after: tuple[int, ...] | None = None,
) -> Tensor:
    """Like `torch.nn.functional.conv2d`; the same function up to rounding.

    Args:
        x: (n, inputs, H, W).
        weight: (outputs, inputs / groups, window, window).
        padding: rows of zeros at the top and bottom, columns at the left and right.
        padding_after: rows at the bottom and columns at the right, where these are others.
    """
    after = padding if padding_after is None else padding_after
    if x.is_cpu and not torch.compiler.is_compiling():
        window, channels = tuple(weight.shape[2:]), x.shape[1]
        # The convolution of most blocks: 3x3, stride 1, "same" padding, all channels together.
        is_common = (window, stride, padding, after, groups) == ((3, 3), (1, 1), (1, 1), (1, 1), 1)
        if is_common and convolution_cpu.serves(x, weight):
            return convolution_cpu.convolution(x, weight, bias)
        height, width = x.shape[2:]
        across, down = stride
        if bias is not None:
            pass
        elif window == (1, 1) and groups == 1:
            if -(-height // across) * -(-width // down) <= _FEW_PIXELS:
                return pointwise(x[:, :, ::across, ::down], weight)
        elif groups == channels == len(weight) and height * width <= _TAPS_PIXELS:
            return depthwise(x, weight, stride, padding, after)
    if after != padding:
        x, padding = functional.pad(x, (padding[1], after[1], padding[0], after[0])), (0, 0)
    return functional.conv2d(x, weight, bias, stride, padding, 1, groups)


def pointwise(x: Tensor, weight: Tensor) -> Tensor:
    """A 1x1 convolution of stride 1 as a matrix product; `x` is (n, C, H, W), the result channels last."""
    return functional.linear(x.permute(0, 2, 3, 1), weight.flatten(1)).permute(0, 3, 1, 2)


def depthwise(
    x: Tensor, weight: Tensor, stride: tuple[int, ...], padding: tuple[int, ...], after: tuple[int, ...]
) -> Tensor:
    """A depthwise convolution, pixel by pixel: each output is a sum of the taps that fall inside the image.

    Args:
        x: (n, C, H, W).
        weight: (C, 1, window, window).
        padding: rows of zeros at the top, columns at the left.
        after: rows at the bottom, columns at the right.
    """
    height, width = x.shape[2:]
    taps = weight[:, 0]
    rows = []
    for top in range(-padding[0], height + after[0] - taps.shape[1] + 1, stride[0]):
        row = []
        for left in range(-padding[1], width + after[1] - taps.shape[2] + 1, stride[1]):
            products = [
                x[:, :, i, j] * taps[:, i - top, j - left]
                for i in range(max(top, 0), min(top + taps.shape[1], height))
                for j in range(max(left, 0), min(left + taps.shape[2], width))
            ]
            row.append(functools.reduce(torch.add, products))
        rows.append(torch.stack(row, 1))
    return torch.stack(rows, 1).permute(0, 3, 1, 2)
