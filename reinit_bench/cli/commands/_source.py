"""What `tables`, `figures` and `report` share: where the numbers are read from, and where files go."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reinit_bench.core.settings import ConfigError

if TYPE_CHECKING:
    from reinit_bench.analysis.frame.collect import Collection

Source = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="SOURCE",
        help="runs: the finished runs; paper: the published Tables 2, 6 and 7 as if they were runs; FILE: a bundle",
    ),
]
RunsSource = Annotated[
    str, typer.Option("--from", metavar="SOURCE", help="runs: the finished runs; FILE: a bundle that export wrote")
]
Reconstructed = Annotated[
    bool,
    typer.Option("--reconstructed", help="With the published tables: also the damaged cells whose value is certain."),
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FOLDER", help="Write the files there instead of RESULTS_DIR.")
]

PAPER_FOLDER = "paper_conclusions"
BUNDLES_FOLDER = "bundles"


@contextmanager
def collection_of(source: str, results_dir: Path, *, reconstructed: bool = False) -> Iterator[Collection]:
    """The runs to read, as long as the block lasts; those that cannot be used are named on standard error.

    Raises:
        ConfigError: there is no such source, or no such results folder.
        BundleError: the bundle cannot be used.
    """
    if reconstructed and source != "paper":
        raise ConfigError("--reconstructed is about the published tables: add --from paper")
    if source == "paper":
        from reinit_bench.analysis.frame.collect import published_runs

        yield published_runs(reconstructed=reconstructed)
    else:
        with runs_folder(source, results_dir) as folder:
            yield collected(source, folder)


@contextmanager
def runs_folder(source: str, results_dir: Path) -> Iterator[Path]:
    """Where the runs are: the results folder, or for a bundle a temporary one, as long as the block lasts.

    Raises:
        ConfigError: there is no such source, or no such results folder.
        BundleError: the bundle cannot be used.
    """
    if source == "runs":
        check_exists(results_dir)
        yield results_dir
    elif Path(source).is_file():
        from reinit_bench.store.bundle import unpacked

        with unpacked(Path(source)) as store:
            yield store.results_dir
    else:
        raise ConfigError(
            f"--from must be runs (finished runs), paper (the published tables) or a bundle's file; got {source!r}"
        )


@contextmanager
def side_of(source: str, *, reconstructed: bool) -> Iterator[Collection]:
    """One side of a comparison: like `collection_of`, and a results folder by its path.

    Raises:
        ConfigError: there is no such source.
        BundleError: the bundle cannot be used.
    """
    if source == "paper":
        with collection_of(source, Path(), reconstructed=reconstructed) as collection:
            yield collection
    elif Path(source).is_file():
        with collection_of(source, Path()) as collection:
            yield collection
    elif (Path(source) / "runs").is_dir():
        yield collected("runs", Path(source))
    else:
        why = "has no folder runs" if Path(source).is_dir() else "is not there"
        raise ConfigError(f"--compare takes two of: a results folder, a bundle's file, paper; {source} {why}")


def check_exists(results_dir: Path) -> None:
    """Raise ConfigError if there is no such results folder."""
    if not results_dir.exists():
        raise ConfigError(f"there is no results folder {results_dir}; start with: reinit-bench -m study=demo")


def collected(source: str, folder: Path) -> Collection:
    """The runs of `runs_folder`; those that cannot be used are named on standard error."""
    from reinit_bench.analysis.frame.collect import collect

    collection = collect(folder)
    tell_left_out(collection.corrupt)
    return collection if source == "runs" else replace(collection, bundle=Path(source))


def check_finished(collection: Collection) -> None:
    """Raise ConfigError, which says what to run, if no run has finished."""
    if len(collection.frame) or len(collection.trials):
        return
    from reinit_bench.store.store import Store

    begun = len(Store(collection.results_dir).run_ids())
    what = f"{begun} not finished: reinit-bench status" if begun else "start with: reinit-bench -m study=demo"
    raise ConfigError(f"there are no finished runs in {collection.path}; {what}")


def tell_left_out(problems: tuple[str, ...]) -> None:
    """Name the results that cannot be used on standard error."""
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)
    if problems:
        count = len(problems)
        print(f"{count} result{'s' if count != 1 else ''} left out; all others are used", file=sys.stderr)


def folder_of(source: str, results_dir: Path, usual: str, out: Path | None) -> Path:
    """Where the files go: what the paper or a bundle says never overwrites what the runs say."""
    if out is not None:
        return out
    if source == "paper":
        return results_dir / PAPER_FOLDER
    if source == "runs":
        return results_dir / usual
    from reinit_bench.store.bundle import ENDING

    return results_dir / BUNDLES_FOLDER / Path(source).name.removesuffix(ENDING) / usual
