"""What `tables`, `figures` and `report` share: where the numbers are read from, and where files go."""

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
Reconstructed = Annotated[
    bool,
    typer.Option("--reconstructed", help="With --from paper: also the damaged cells whose value is certain."),
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FOLDER", help="Write the files there instead of RESULTS_DIR.")
]

PAPER_FOLDER = "paper_conclusions"


def collection_of(source: str, results_dir: Path, *, reconstructed: bool = False) -> Collection:
    """The runs to read; those that cannot be used are named on standard error.

    Raises:
        ConfigError: there is no such source, or no such results folder.
    """
    if source == "paper":
        from reinit_bench.analysis.runs.published_runs import published_runs

        return published_runs(reconstructed=reconstructed)
    if reconstructed:
        raise ConfigError("--reconstructed is about the published tables: add --from paper")
    if source != "runs":
        raise ConfigError(f"--from must be runs (finished runs) or paper (the published tables); got {source!r}")
    if not results_dir.exists():
        raise ConfigError(f"there is no results folder {results_dir}; start with: reinit-bench -m study=demo")
    from reinit_bench.analysis.runs.collect import collect

    collection = collect(results_dir)
    for problem in collection.corrupt:
        print(f"left out: {problem}", file=sys.stderr)
    if collection.corrupt:
        count = len(collection.corrupt)
        print(f"{count} result{'s' if count != 1 else ''} left out; all others are used", file=sys.stderr)
    return collection


def check_finished(collection: Collection) -> None:
    """Raise ConfigError, which says what to run, if no run has finished."""
    if not collection.frame.empty:
        return
    from reinit_bench.store.store import Store

    begun = len(Store(collection.results_dir).run_ids())
    what = f"{begun} not finished: reinit-bench status" if begun else "start with: reinit-bench -m study=demo"
    raise ConfigError(f"there are no finished runs in {collection.results_dir}; {what}")


def folder_of(source: str, results_dir: Path, usual: str, out: Path | None) -> Path:
    """Where the files go: what the paper's numbers say never overwrites what the runs say."""
    return out or results_dir / (PAPER_FOLDER if source == "paper" else usual)
