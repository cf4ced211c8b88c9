"""3x3 convolutions of stride 1 on the CPU, compiled from `convolution_cpu.c`.

torch's convolutions reach four fifths of a matrix product's rate in the forward pass and half of it in the kernel's
gradient (with AVX2); Winograd's algorithm needs 2.25 times fewer multiplications.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from reinit_bench.kernels.library import PANEL, call, in_threads, takes

_MANY_CHANNELS, _LARGE_SIDE, _MANY_TILES = 32, 4, 128
"""From this many channels, pixels per side and 2x2 tiles in total, it is faster than torch's (measured on 16 to 512
channels, sides of 1 to 32 pixels and batches of 4 to 256)."""
_POINTS = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))
"""Lavin and Gray's G: a row of the kernel at the four points of F(2, 3)."""


def serves(x: Tensor, weight: Tensor) -> bool:
    """Whether this 3x3 convolution of stride 1 and padding 1 is computed here; channels must be multiples of 16.

    Args:
        x: (n, inputs, H, W).
        weight: (outputs, inputs, 3, 3).
    """
    channels, (height, width) = weight.shape[:2], x.shape[2:]
    if min(channels) < _MANY_CHANNELS or any(count % PANEL for count in channels) or min(height, width) < _LARGE_SIDE:
        return False
    tiles = len(x) * -(-height // 2) * -(-width // 2)
    return tiles >= _MANY_TILES and not torch.is_autocast_enabled("cpu") and takes("convolution", x, weight)


def convolution(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The convolution, (n, outputs, H, W) channels last; equal to torch's up to rounding, as are its gradients.

    Its results do not depend on the number of threads.
    """
    y: Tensor = _Convolution.apply(x, weight, bias)
    return y


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        ctx.save_for_backward(x, weight)
        return _forward(x, _taps(weight), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        of_x, of_weight, of_bias = ctx.needs_input_grad
        dx = dw = db = None
        if of_x:
            # The convolution of the gradient with the kernel rotated by 180 degrees, outputs and inputs exchanged.
            dx = _forward(dy, _taps(weight).flip(0).transpose(1, 2), None)
        if of_weight or of_bias:
            dw, db = _gradients(x, dy, weight, of_bias)
        return dx, dw, db


def _taps(weight: Tensor) -> Tensor:
    """(outputs, inputs, 3, 3) as (9, inputs, outputs)."""
    return weight.detach().permute(2, 3, 1, 0).flatten(0, 1)


def _forward(x: Tensor, taps: Tensor, bias: Tensor | None) -> Tensor:
    count, inputs, height, width = x.shape
    outputs = taps.shape[2]
    y = torch.empty((count, outputs, height, width), memory_format=torch.channels_last)
    kernel = _transformation() @ taps.unflatten(2, (-1, PANEL)).transpose(1, 2).reshape(len(taps), -1)
    x = x.detach()  # `no_grad` does not hold in other threads

    def part(first: int, images: int) -> None:
        arguments = (x[first:], kernel, bias, y[first:], images, height, width, inputs, outputs)
        call("winograd", *arguments)

    in_threads(part, count, 1)
    return y


def _gradients(x: Tensor, dy: Tensor, weight: Tensor, with_bias: bool) -> tuple[Tensor, Tensor | None]:
    count, inputs, height, width = x.shape
    outputs = dy.shape[1]
    transformed = torch.zeros((16, inputs, outputs))
    bias = torch.zeros(outputs) if with_bias else None

    def part(channel: int, channels: int) -> None:
        at_bias = bias if channel == 0 else None
        arguments = (x, dy, transformed, at_bias, count, height, width, inputs, outputs, channel, channels)
        call("winograd_gradient", *arguments)

    in_threads(part, inputs, PANEL)
    taps = (_transformation().T @ transformed.flatten(1)).view(9, inputs, outputs)
    gradient = torch.empty_like(weight)
    gradient.copy_(taps.unflatten(0, (3, 3)).permute(3, 2, 0, 1))
    return gradient, bias


@functools.cache
def _transformation() -> Tensor:
    """From the 9 taps of a kernel to its values at the 16 points."""
    points = torch.tensor(_POINTS)
    return torch.kron(points, points)
