"""The functions in C that the installation compiles (`hatch_build.py`), for layers where torch is slow on the CPU.

Where there is no library for the processor (`available`), or a run does without (`compiled_layers=false`), torch's own
functions are used: the same up to rounding.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from reinit_bench.core.provenance import COMPILED
from reinit_bench.kernels.available import KINDS, obstacle

PANEL = 16
"""The functions need numbers of channels that are multiples of this: two vectors of the processor."""

_used = frozenset(KINDS)


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled functions; None if there are none for this processor."""
    return ctypes.CDLL(str(COMPILED)) if obstacle() is None else None


def use(kinds: Collection[str]) -> None:
    """Compute these kinds of layers (of `available.KINDS`) here from now on, if there is a library.

    Since the two differ by rounding, a run calls this when it begins, and with what it began with when it resumes.
    """
    global _used
    _used = frozenset(kinds if library() is not None else ())


def used() -> list[str]:
    """The kinds that are computed here."""
    return sorted(_used)


def takes(kind: str, x: Tensor, weight: Tensor) -> bool:
    """Whether this kind of layer is computed here, and these tensors can be handed over: on the CPU, in fp32."""
    # A tensor of another type (a fake one, a wrapped one) has no memory to hand out.
    if type(x) is not Tensor or not x.is_cpu or x.dtype is not torch.float32 or weight.dtype is not torch.float32:
        return False
    return kind in _used and library() is not None


def call(name: str, *arguments: Tensor | float | None) -> None:
    """Call a function of the library: tensors are handed over as pointers, integers as int64_t, floats as double.

    Raises:
        MemoryError: there is no memory for its intermediate values.
    """
    functions = library()
    assert functions is not None
    if functions[name](*map(_word, arguments)):
        raise MemoryError(f"no memory for {name}")


def _word(value: Tensor | float | None) -> ctypes.c_void_p | ctypes.c_int64 | ctypes.c_double | None:
    if value is None:
        return None
    if isinstance(value, Tensor):
        return ctypes.c_void_p(value.data_ptr())
    return ctypes.c_int64(value) if isinstance(value, int) else ctypes.c_double(value)


def in_threads(part: Callable[[int, int], None], count: int, multiple: int = 1) -> None:
    """Call `part(first, how many)` over `count`, cut at multiples of `multiple` into one piece per torch thread.

    `part` may run in a thread in which `torch.no_grad` does not hold.
    """
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
    return ThreadPoolExecutor(threads - 1, "compiled")
