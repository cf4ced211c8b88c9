"""GroupNorm with one group on the CPU, with the ReLU that follows it, compiled from `norm_cpu.c`.

torch does each step as a pass over all images; here all steps are done on one image while it is in the processor's
cache, and neither the normalized image nor the ReLU's mask is kept for the backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from reinit_bench.kernels.library import PANEL, call, in_threads, takes


def serves(x: Tensor, weight: Tensor) -> bool:
    """Whether the norm of `x`, (n, C, H, W), is computed here."""
    if x.dim() != 4 or x.shape[1] % PANEL or not x.is_contiguous(memory_format=torch.channels_last):
        return False
    return x.numel() > 0 and takes("norm", x, weight)


def group_norm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: float, relu: bool) -> Tensor:
    """The norm over (C, H, W) with scale and shift per channel, then the ReLU if requested; channels last.

    Equal to torch's up to rounding, as are its gradients; does not depend on the number of threads.
    """
    y: Tensor = _GroupNorm.apply(x, weight, bias, epsilon, relu)
    return y


class _GroupNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, epsilon: float, relu: bool) -> Tensor:
        images, channels, height, width = x.shape
        y, statistics = torch.empty_like(x, memory_format=torch.channels_last), torch.empty((images, 2))
        ctx.save_for_backward(x, weight, bias, statistics)
        ctx.relu = relu
        x = x.detach()

        def part(first: int, count: int) -> None:
            tensors = (x[first:], weight, bias, y[first:], statistics[first:])
            call("normalize", *tensors, count, height * width, channels, epsilon, int(relu))

        in_threads(part, images)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x, weight, bias, statistics = (value.detach() for value in ctx.saved_tensors)
        dy = dy.detach().contiguous(memory_format=torch.channels_last)
        images, channels, height, width = x.shape
        dx = torch.empty_like(x, memory_format=torch.channels_last)
        dweight, dbias = torch.empty((images, channels)), torch.empty((images, channels))

        def part(first: int, count: int) -> None:
            given = (x[first:], dy[first:], weight, bias, statistics[first:])
            found = (dx[first:], dweight[first:], dbias[first:])
            call("normalize_gradient", *given, *found, count, height * width, channels, int(ctx.relu))

        in_threads(part, images)
        return dx, dweight.sum(0), dbias.sum(0), None, None
