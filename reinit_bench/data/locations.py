"""Where datasets, and what else is kept between runs, are stored on disk."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "REINIT_BENCH_DATA"


def data_dir(chosen: str | None = None) -> Path:
    """The folder of all prepared datasets.

    `chosen` (the field `dataset.data_dir`) comes first, then the variable REINIT_BENCH_DATA, then the user's cache
    folder: not the current folder, so that a dataset prepared once is found from everywhere.
    """
    given = chosen or os.environ.get(VARIABLE)
    if given:
        return Path(given).expanduser().absolute()
    return cache_dir()


def cache_dir() -> Path:
    """The user's cache folder for this package."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "reinit-bench"


def manual_dir(root: Path, builder: str) -> Path:
    """Where a user puts files of `builder` (a TFDS name) that had to be downloaded by hand."""
    return root / "manual" / builder
