"""The norm of every architecture: GroupNorm with one group, and the ReLU that follows it, if any.

Three ways to compute the same function, chosen by where the input is:

- plain: PyTorch's group norm; the ReLU is applied in place, which saves a pass over memory and changes no bit. Also
  used in a compiled network, where the compiler fuses it with its neighbours.
- cpu: for channels-last images on the CPU, compiled at installation if possible, see `norm_cpu`.
- triton: our own kernels for channels-last images on a CUDA device, see `norm_triton`.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional

from reinit_bench.kernels import norm_cpu

_MANY_VALUES = 2**18
"""On the CPU, below this many values in a batch, calling the compiled functions costs more than they save."""

KINDS = ("auto", "plain", "cpu", "triton")
_forced = "auto"


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
        return norm_cpu.group_norm(x, weight, bias, epsilon, relu)
    return plain_norm(x, weight, bias, epsilon, relu=relu)


def plain_norm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: float, *, relu: bool) -> Tensor:
    """The norm by PyTorch's own operations; the reference for the other ways."""
    normalized = functional.group_norm(x, 1, weight, bias, epsilon)
    # The norm's backward pass needs its input, not its output, which may therefore be overwritten.
    return functional.relu_(normalized) if relu else normalized


def uses_triton(x: Tensor) -> bool:
    """Whether the Triton kernels compute the norm of `x`."""
    if _forced == "plain" or x.dim() != 4 or not x.is_contiguous(memory_format=torch.channels_last):
        return False
    if _forced == "triton":
        return True
    return x.is_cuda and not torch.compiler.is_compiling() and has_triton()


def uses_compiled(x: Tensor, weight: Tensor) -> bool:
    """Whether the compiled CPU functions compute the norm of `x`."""
    wanted = _forced == "cpu" or (_forced == "auto" and x.numel() >= _MANY_VALUES)
    return wanted and not torch.compiler.is_compiling() and norm_cpu.serves(x, weight)


@functools.cache
def has_triton() -> bool:
    """Whether Triton is installed."""
    return importlib.util.find_spec("triton") is not None


@contextmanager
def norm_kind(kind: str) -> Iterator[None]:
    """Compute every norm in the given way, one of `KINDS`; for tests and benchmarks."""
    global _forced
    assert kind in KINDS, kind
    before, _forced = _forced, kind
    try:
        yield
    finally:
        _forced = before
