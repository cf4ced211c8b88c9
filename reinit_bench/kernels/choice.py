"""Which of the layers in C are faster than torch's on this machine: timed at first use, and kept for all later runs.

The two differ by rounding, so processes that begin at once must not choose differently: one times them, the others wait
for its file. Nothing here imports torch.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from filelock import FileLock, Timeout

import reinit_bench
from reinit_bench.core.machine import processor
from reinit_bench.core.provenance import COMPILED
from reinit_bench.data.locations import cache_dir
from reinit_bench.store.files import StoreError, make_folder, write_json

KINDS = ("convolution", "norm")
"""The kinds of layers, each of which is chosen for itself."""
MARGIN = 1.1
"""Ours are used if they are so many times as fast as torch's: the noise of timing must not decide."""
NEEDED = {"x86_64": {"avx2", "fma"}}
"""What a processor must have to run the library, by machine, as `hatch_build.py` compiles it."""

_TIMING = Path(__file__).with_name("timing.py")
_SECONDS = 120
"""How long to wait for the timing, which takes two or three, or for another process that does it."""

Seconds = Mapping[str, tuple[float, float]]
"""Processor seconds by kind of layer, of ours and of torch's."""


class TimingFailed(Exception):
    """The layers could not be timed."""


@dataclass(frozen=True)
class Choice:
    """Which layers in C are used on this machine, and why.

    Attributes:
        seconds: what was measured; empty: nothing was.
        obstacle: why nothing was measured, so that all layers are torch's.
        path: the file that keeps the measurement.
    """

    seconds: Seconds = field(default_factory=dict)
    obstacle: str | None = None
    path: Path | None = None

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of layers that are ours."""
        return frozenset(kind for kind in self.seconds if self.ratio(kind) >= MARGIN)

    def ratio(self, kind: str) -> float:
        """How many times as fast as torch's ours are."""
        ours, torchs = self.seconds[kind]
        return torchs / ours


@cache
def choice_here() -> Choice:
    """What this machine uses: as measured before, or measured now; the same for the rest of the process."""
    reason = obstacle()
    if reason is not None:
        return Choice(obstacle=reason)
    try:
        path = _path()
        if path is None:
            return Choice(measure())
        seconds = _kept(path)
        if seconds is None:
            with _alone(path):
                seconds = _kept(path) or measure()
                with suppress(StoreError):  # a read-only folder: every process measures for itself
                    write_json(path, seconds)
        return Choice(seconds, path=path if path.exists() else None)
    except TimingFailed as error:
        return Choice(obstacle=f"timing ours failed: {error}")


def obstacle() -> str | None:
    """Why the layers in C cannot be used here at all; None if they can."""
    if not COMPILED.exists():
        return "ours were not compiled; installing them needs Linux and a C compiler"
    # A folder that many machines share may hold what only some of them can run.
    lacking = NEEDED.get(platform.machine(), set()) - set(processor().get("flags", "").split())
    if lacking:
        return f"ours need a processor with {', '.join(sorted(lacking))}"
    try:
        ctypes.CDLL(str(COMPILED))
    except OSError as error:
        return f"ours cannot be loaded: {error}"
    return None


def measure() -> dict[str, tuple[float, float]]:
    """Time all kinds, in a process of its own: with one thread, whatever this one is in the middle of.

    Raises:
        TimingFailed: that process could not be started, died, or took too long.
    """
    root = str(Path(reinit_bench.__file__).parent.parent)
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(_TIMING)],
            env=env,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            start_new_session=True,  # Ctrl-C must not end the timing alone: the run would go on with torch's layers
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise TimingFailed(str(error)) from error
    seconds = _parsed(done.stdout)
    if done.returncode or seconds is None:
        last = (done.stderr.splitlines() or ["it said nothing"])[-1]
        raise TimingFailed(f"its process ended with code {done.returncode}: {last}")
    return seconds


def _path() -> Path | None:
    """The file of all that the times depend on; None for a user without a home."""
    try:
        folder = cache_dir()
    except RuntimeError:
        return None
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = ""
    parts = [*sorted(processor().items()), torch, os.environ.get("ATEN_CPU_CAPABILITY")]
    digest = hashlib.sha256(json.dumps(parts).encode())
    for path in (COMPILED, _TIMING):
        digest.update(path.read_bytes())
    return folder / "compiled_layers" / f"{digest.hexdigest()[:12]}.json"


def _kept(path: Path) -> dict[str, tuple[float, float]] | None:
    try:
        return _parsed(path.read_text())
    except (OSError, UnicodeDecodeError):
        return None


def _parsed(text: str) -> dict[str, tuple[float, float]] | None:
    """The seconds in a JSON text; None if it is not what `timing.py` prints."""
    try:
        found = json.loads(text)
        seconds = {kind: (float(found[kind][0]), float(found[kind][1])) for kind in KINDS}
    except (ValueError, TypeError, LookupError):
        return None
    return seconds if all(0 < value < float("inf") for pair in seconds.values() for value in pair) else None


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else measures for this file; where there can be no lock, somebody may."""
    lock = FileLock(path.with_suffix(".lock"), timeout=_SECONDS)
    with suppress(OSError, StoreError, Timeout, NotImplementedError):
        make_folder(path.parent)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
