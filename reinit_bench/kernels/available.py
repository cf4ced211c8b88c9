"""Whether the layers in C can be used on this machine, found without importing torch."""

from __future__ import annotations

import ctypes
from functools import cache

from reinit_bench.core.machine import processor_features
from reinit_bench.core.provenance import COMPILED

KINDS = ("convolution", "norm")
"""The kinds of layers that are written in C."""
NEEDED = {"avx2", "fma"}
"""What a processor must have to run the library, as `hatch_build.py` compiles it."""


@cache
def obstacle() -> str | None:
    """Why the layers in C cannot be used here; None if they can."""
    if not COMPILED.exists():
        return "ours were not compiled; installing them needs Linux on x86-64 and a C compiler"
    # A folder that many machines share may hold what only some of them can run.
    lacking = NEEDED - processor_features()
    if lacking:
        return f"ours need a processor with {' and '.join(sorted(lacking))}"
    try:
        ctypes.CDLL(str(COMPILED))
    except OSError as error:
        return f"ours cannot be loaded: {error}"
    return None
