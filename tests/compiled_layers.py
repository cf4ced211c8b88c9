"""The layers compiled from C, used in tests wherever the processor can run them.

Tests that need them count the calls, so that none passes because torch's layers were used.
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

from reinit_bench.core.provenance import COMPILED
from reinit_bench.kernels import available


class CountingLibrary:
    """The compiled functions; counts the calls of each."""

    def __init__(self, functions: ctypes.CDLL, calls: Counter[str]) -> None:
        self.functions, self.calls = functions, calls

    def __getitem__(self, name: str) -> Any:
        self.calls[name] += 1
        return self.functions[name]


def obstacle() -> str | None:
    """Why the compiled layers cannot be used here; None if they can."""
    compiler = shlex.split(os.environ.get("CC", "cc"))[0]
    if (platform.system(), platform.machine()) == ("Linux", "x86_64") and not COMPILED.exists():
        assert shutil.which(compiler) is None, f"{compiler} is here, but {COMPILED} was not compiled: make -B setup"
    return available.obstacle()


def use_compiled_layers(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Use the compiled layers wherever they apply, until the patch is undone; counts the calls of each function."""
    calls: Counter[str] = Counter()
    library = CountingLibrary(ctypes.CDLL(str(COMPILED)), calls)
    monkeypatch.setattr("reinit_bench.kernels.library.library", lambda: library)
    monkeypatch.setattr("reinit_bench.kernels.library._used", frozenset(available.KINDS))
    return calls
