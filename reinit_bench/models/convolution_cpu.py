"""3x3 convolutions of stride 1 on the CPU, by a library of our own (`convolution_cpu.c`), compiled at installation.

On processors with AVX2 torch's convolutions come to four fifths of a matrix product's rate forwards and to half of it
in the kernel's gradient; Winograd's algorithm needs 2.25 times fewer multiplications. Where the library is missing (no
compiler at installation, another processor) or was not measured to be faster, torch's convolution is taken.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from reinit_bench.provenance import COMPILED

_PANEL = 16
_MANY_CHANNELS, _LARGE_SIDE, _MANY_TILES = 32, 4, 128
"""From so many channels, pixels a side, and 2x2 tiles in all, it is faster than torch's (measured on channels of 16 to
512, sides of 1 to 32 and batches of 4 to 256)."""
_POINTS = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))
"""Lavin and Gray's G: a row of the kernel at the four points of F(2, 3)."""


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled functions; None where there are none for this processor."""
    if torch.backends.cpu.get_cpu_capability() != "AVX2" or platform.machine() not in ("x86_64", "AMD64"):
        return None  # elsewhere nothing was measured; with AVX512 torch's own convolutions are twice as fast
    try:
        return ctypes.CDLL(str(COMPILED))
    except OSError:
        return None


def serves(x: Tensor, weight: Tensor) -> bool:
    """Whether this 3x3 convolution of stride 1 and padding 1 is computed here, which needs channels in sixteens.

    Args:
        x: (n, inputs, H, W).
        weight: (outputs, inputs, 3, 3).
    """
    # A tensor of another type (a fake one, a wrapped one) has no memory to hand out.
    if type(x) is not Tensor or x.dtype is not torch.float32 or weight.dtype is not torch.float32:
        return False
    channels, (height, width) = weight.shape[:2], x.shape[2:]
    if min(channels) < _MANY_CHANNELS or any(count % _PANEL for count in channels) or min(height, width) < _LARGE_SIDE:
        return False
    if len(x) * -(-height // 2) * -(-width // 2) < _MANY_TILES or torch.is_autocast_enabled("cpu"):
        return False
    return library() is not None


def convolution(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The convolution, (n, outputs, H, W) channels last; the same as torch's up to rounding, and with its gradients.

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
            # The convolution of the gradient with the kernel turned by half a turn, outputs and inputs exchanged.
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
    kernel = _transformation() @ taps.unflatten(2, (-1, _PANEL)).transpose(1, 2).reshape(len(taps), -1)
    at_bias = None if bias is None else bias.detach().contiguous()

    x = x.detach()  # threads of their own know no `no_grad`

    def part(first: int, images: int) -> None:
        arguments = (x[first:], kernel, at_bias, y[first:], images, height, width, inputs, outputs)
        _call("winograd", *arguments)

    _in_threads(part, count, 1)
    return y


def _gradients(x: Tensor, dy: Tensor, weight: Tensor, with_bias: bool) -> tuple[Tensor, Tensor | None]:
    count, inputs, height, width = x.shape
    outputs = dy.shape[1]
    transformed = torch.zeros((16, inputs, outputs))
    bias = torch.zeros(outputs) if with_bias else None

    def part(channel: int, channels: int) -> None:
        at_bias = bias if channel == 0 else None
        arguments = (x, dy, transformed, at_bias, count, height, width, inputs, outputs, channel, channels)
        _call("winograd_gradient", *arguments)

    _in_threads(part, inputs, _PANEL)
    taps = (_transformation().T @ transformed.flatten(1)).view(9, inputs, outputs)
    gradient = torch.empty_like(weight)
    gradient.copy_(taps.unflatten(0, (3, 3)).permute(3, 2, 0, 1))
    return gradient, bias


@functools.cache
def _transformation() -> Tensor:
    """From the 9 taps of a kernel to its values at the 16 points."""
    points = torch.tensor(_POINTS)
    return torch.kron(points, points)


def _call(name: str, *arguments: Tensor | int | None) -> None:
    """Call a function of the library; tensors are handed over as pointers."""
    functions = library()
    assert functions is not None
    words = [
        ctypes.c_int64(value)
        if isinstance(value, int)
        else None
        if value is None
        else ctypes.c_void_p(value.data_ptr())
        for value in arguments
    ]
    if functions[name](*words):
        raise MemoryError(f"no memory for {name}")


def _in_threads(part: Callable[[int, int], None], count: int, multiple: int) -> None:
    """Call `part(first, how many)` over `count`, cut at multiples into one piece for each of torch's threads."""
    threads = min(torch.get_num_threads(), count // multiple)
    if threads <= 1:
        part(0, count)
        return
    cuts = [count * number // threads // multiple * multiple for number in range(threads)] + [count]
    pieces = [(first, end - first) for first, end in itertools.pairwise(cuts)]
    others = [_executor(threads).submit(part, *piece) for piece in pieces[1:]]
    part(*pieces[0])
    for other in others:
        other.result()


@functools.cache
def _executor(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads - 1, "convolution")
