"""The norm of every architecture: GroupNorm with one group, and the ReLU that follows it, if any.

Three ways to compute the same function, chosen by where the input is: PyTorch's group norm (a compiled network too,
where the compiler fuses it with its neighbours); for large channels-last images on the CPU the functions of
`norm_cpu.c`; for channels-last images on a CUDA device our Triton kernels, see `norm_triton`.

On the CPU torch does each step as a pass over all images. The compiled functions do all steps on one image while it is
in the processor's cache, and keep neither the normalized image nor the ReLU's mask for the backward pass.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from reinit_bench.kernels.library import PANEL, call, in_threads, takes

_MANY_VALUES = 2**18
"""On the CPU, below this many values in a batch, calling the compiled functions costs more than they save."""


def group_norm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: float, *, relu: bool) -> Tensor:
    """GroupNorm with one group, then the ReLU if requested.

    Args:
        x: (n, C, H, W) or (n, C).
        weight: each channel's scale, (C,).
        bias: each channel's shift, (C,).
        epsilon: added to the variance.
    """
    if uses_triton(x):
        from reinit_bench.kernels import norm_triton

        return norm_triton.group_norm(x, weight, bias, epsilon, relu)
    if uses_compiled(x, weight):
        y: Tensor = _Compiled.apply(x, weight, bias, epsilon, relu)
        return y
    normalized = functional.group_norm(x, 1, weight, bias, epsilon)
    # The norm's backward pass needs its input, not its output, which may therefore be overwritten.
    return functional.relu_(normalized) if relu else normalized


def uses_triton(x: Tensor) -> bool:
    """Whether the Triton kernels compute the norm of `x`."""
    return x.is_cuda and _is_channels_last(x) and not torch.compiler.is_compiling() and has_triton()


def uses_compiled(x: Tensor, weight: Tensor) -> bool:
    """Whether the compiled CPU functions compute the norm of `x`."""
    if x.numel() < _MANY_VALUES or torch.compiler.is_compiling():
        return False
    return _is_channels_last(x) and x.shape[1] % PANEL == 0 and takes("norm", x, weight)


def _is_channels_last(x: Tensor) -> bool:
    return x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)


@functools.cache
def has_triton() -> bool:
    """Whether Triton is installed."""
    return importlib.util.find_spec("triton") is not None


class _Compiled(torch.autograd.Function):
    """Equal to torch's up to rounding, as are its gradients; does not depend on the number of threads."""

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
