"""What this machine has, found without importing torch: cores, processor, GPUs, memory; and this process's share."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from itertools import takewhile
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST = 2**30

_gpu_workers = 1


def cores() -> int:
    """The number of cores that this process may use; on a cluster often fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_features() -> set[str]:
    """What the processor can do (avx2, fma), as Linux names it; empty elsewhere."""
    try:
        flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return set()
    return set(flags[1].split()) if flags else set()


def visible_gpus() -> list[str]:
    """Ids of the GPUs that this process may use."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        numbers = [number.strip() for number in chosen.split(",")]
        # As CUDA reads it: what follows the first invalid one (-1, NoDevFiles) does not count.
        return list(takewhile(re.compile(r"\d+|(GPU|MIG)-\S+").fullmatch, numbers))
    listed = output_of("nvidia-smi", "-L") or ""
    return [str(number) for number, line in enumerate(filter(None, listed.splitlines())) if line.startswith("GPU")]


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next step instead of returning it to the system.

    A step allocates the same activations again and again; each of more than a few MB would be mapped and faulted in
    every time, which costs a third of a step's time on a CPU. Without glibc, nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGEST)
    mallopt(_M_TRIM_THRESHOLD, _LARGEST)


def share_gpu(workers: int) -> None:
    """Note that so many processes of a sweep, this one included, use this process's GPU."""
    global _gpu_workers
    _gpu_workers = workers


def gpu_workers() -> int:
    """How many processes of a sweep use this process's GPU."""
    return _gpu_workers


def output_of(*words: str) -> str | None:
    """What a command prints; None if it is missing, fails or hangs."""
    if shutil.which(words[0]) is None:
        return None
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
