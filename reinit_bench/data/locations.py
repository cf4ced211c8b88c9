"""Where datasets, and what else is kept between runs, are stored on disk; one process at a time writes there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from reinit_bench.core.settings import ConfigError
from reinit_bench.store.lock import locked

VARIABLE = "REINIT_BENCH_DATA"
LOCK_SECONDS = 3 * 3600
"""So long a process waits for another one that makes the same thing."""


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


@contextmanager
def one_at_a_time(root: Path, name: str, say: Callable[[str], object]) -> Iterator[None]:
    """Make `name` in the folder `root` of all datasets while no other process does; one that does is waited for.

    Raises:
        ConfigError: it takes too long.
        OSError: there can be no lock.
    """
    path = root / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path, 0))
        except TimeoutError:
            say(f"{name}: another process is making it; waiting")
            try:
                stack.enter_context(locked(path, LOCK_SECONDS))
            except TimeoutError as error:
                hours = f"for {LOCK_SECONDS // 3600} hours"
                raise ConfigError(f"another process has been making {name} {hours}; if it hangs, end it") from error
        yield
