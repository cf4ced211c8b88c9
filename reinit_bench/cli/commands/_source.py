"""What `tables` and `figures` share: whether they read finished runs or the published numbers, and where they write."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reinit_bench.core.settings import ConfigError

if TYPE_CHECKING:
    from reinit_bench.analysis.collect import Collection

Source = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="SOURCE",
        help="runs: the finished runs; paper: the published Tables 2, 6 and 7 as if they were runs",
    ),
]

PAPER_FOLDER = "paper_conclusions"


def collection_of(source: str, results_dir: Path, needed: Sequence[str] = ()) -> Collection:
    """The runs to read.

    Args:
        needed: modules that the caller imports next. Reading thousands of runs takes about as long as importing these,
            so the runs are read in a second process meanwhile, if that is safe.

    Raises:
        ConfigError: there is no such source, or `results_dir` is a file.
    """
    if source not in ("runs", "paper"):
        raise ConfigError(f"--from must be runs (finished runs) or paper (the published tables); got {source!r}")
    if source == "paper":
        from reinit_bench.analysis.published_runs import published_runs

        return published_runs()
    # A fork must not copy a process with threads, and numpy may have started some.
    if needed and "numpy" not in sys.modules and "fork" in multiprocessing.get_all_start_methods():
        fork = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(1, fork, _leave_ctrl_c_to_the_parent) as beside:
            reading = beside.submit(_collected, results_dir)
            for name in needed:
                import_module(name)
            return reading.result()
    return _collected(results_dir)


def _leave_ctrl_c_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _collected(results_dir: Path) -> Collection:
    from reinit_bench.analysis.collect import collect

    return collect(results_dir)


def folder_of(source: str, results_dir: Path, usual: str) -> Path:
    """The folder to write to: files made from the paper's numbers never overwrite those made from runs."""
    return results_dir / (PAPER_FOLDER if source == "paper" else usual)
