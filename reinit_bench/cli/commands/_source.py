"""What `tables` and `figures` share: whether they read finished runs or the published numbers, and where they write."""

from __future__ import annotations

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
        help="runs: the finished runs; paper: the published Tables 2, 6 and 7 as if they were",
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
    raise ConfigError(f"--from takes runs (finished runs) or paper (the published tables); got {source!r}")


def folder_of(source: str, results_dir: Path, usual: str) -> Path:
    """Where the files go: what the paper's numbers say never overwrites what the runs say."""
    return results_dir / (PAPER_FOLDER if source == "paper" else usual)
