"""Which code and which machine produced a result."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

from reinit_bench.core.version import __version__

COMPILED = Path(__file__).parent.parent / "kernels" / "libcompiled.so"
"""The layers in C, which the installation compiles if it can (`hatch_build.py`)."""

PACKAGES = ("torch", "numpy", "scikit-learn")


@cache
def git_commit() -> str | None:
    """The commit of the package's checkout, with `+dirty` if tracked files differ; None outside a checkout."""
    root = Path(__file__).resolve().parent.parent.parent
    if not (root / ".git").exists():
        return None
    try:
        head = _git(root, "rev-parse", "HEAD")
        return f"{head}+dirty" if _git(root, "status", "--porcelain", "--untracked-files=no") else head
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Versions of the package, of Python and of the libraries that compute."""
    libraries = {name: version(name) for name in PACKAGES}
    return {"reinit_bench": __version__, "python": platform.python_version(), **libraries}


def slurm_job() -> str | None:
    """The SLURM job (array task included) that this process runs in; None outside SLURM."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")
