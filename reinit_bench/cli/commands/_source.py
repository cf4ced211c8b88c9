"""What `tables` and `figures` share: whether they read finished runs or the published numbers, and where they write."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reinit_bench.core.settings import ConfigError

if TYPE_CHECKING:
    from reinit_bench.analysis.runs.collect import Collection

Source = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="SOURCE",
        help="runs: the finished runs; paper: the published Tables 2, 6 and 7 as if they were runs",
    ),
]

PAPER_FOLDER = "paper_conclusions"


def collection_of(source: str, results_dir: Path) -> Collection:
    """The runs to read.

    Raises:
        ConfigError: there is no such source, or `results_dir` is a file.
    """
    if source == "paper":
        from reinit_bench.analysis.runs.published_runs import published_runs

        return published_runs()
    if source == "runs":
        from reinit_bench.analysis.runs.collect import collect

        return collect(results_dir)
    raise ConfigError(f"--from must be runs (finished runs) or paper (the published tables); got {source!r}")


def folder_of(source: str, results_dir: Path, usual: str) -> Path:
    """The folder to write to: files made from the paper's numbers never overwrite those made from runs."""
    return results_dir / (PAPER_FOLDER if source == "paper" else usual)


def warn_of_corrupt(collection: Collection) -> None:
    """Name on standard error the results that were left out."""
    for problem in collection.corrupt:
        print(f"left out: {problem}", file=sys.stderr)
    if collection.corrupt:
        count = len(collection.corrupt)
        print(f"{count} result{'s' if count != 1 else ''} left out; all others were used", file=sys.stderr)
