"""What this machine has: its cores and its GPUs, found without importing torch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from itertools import takewhile


def cores() -> int:
    """The number of cores that this process may use; on a cluster often fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """Ids of the GPUs that this process may use."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        numbers = [number.strip() for number in chosen.split(",")]
        # As CUDA reads it: what follows the first invalid one (-1, NoDevFiles) does not count.
        return list(takewhile(re.compile(r"\d+|(GPU|MIG)-\S+").fullmatch, numbers))
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(number) for number, line in enumerate(filter(None, listed.splitlines())) if line.startswith("GPU")]
