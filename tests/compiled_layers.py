"""The layers compiled from C, used in tests wherever the processor can run them.

A run uses them only where they are faster than torch's, which they are not on a processor with AVX512. They compute the
same there, so tests need not skip them.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shlex
import shutil
from collections import Counter
from typing import Any

import pytest
import torch

from reinit_bench.core.provenance import COMPILED


class CountingLibrary:
    """The compiled functions; counts the calls of each."""

    def __init__(self, functions: ctypes.CDLL, calls: Counter[str]) -> None:
        self.functions, self.calls = functions, calls

    def __getitem__(self, name: str) -> Any:
        self.calls[name] += 1
        return self.functions[name]


def obstacle() -> str | None:
    """Why the compiled layers cannot be used here; None if they can."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "the compiled layers need Linux and x86-64"
    if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        return "the compiled layers need a processor with AVX2"
    if not COMPILED.exists():
        compiler = shlex.split(os.environ.get("CC", "cc"))[0]
        assert shutil.which(compiler) is None, f"{compiler} is here, but {COMPILED} was not compiled: make -B setup"
        return "the compiled layers were not compiled: there was no compiler"
    return None


def use_compiled_layers(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Use the compiled layers wherever they apply, until the patch is undone; counts the calls of each function."""
    calls: Counter[str] = Counter()
    library = CountingLibrary(ctypes.CDLL(str(COMPILED)), calls)
    monkeypatch.setattr("reinit_bench.kernels.library.library", lambda: library)
    return calls
