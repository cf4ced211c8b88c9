"""What sub-commands share: their arguments, the plan that these describe, where numbers are read and files go."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from reinit_bench.cli.words import readable, results_dir_of
from reinit_bench.core.errors import plain
from reinit_bench.core.settings import ConfigError

if TYPE_CHECKING:
    from reinit_bench.analysis.frame.collect import Collection
    from reinit_bench.sweep.plan import Plan

Item = TypeVar("Item")

Words = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="As for a run: study=demo results_dir=DIR")
]


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


def split_results_dir(words: Sequence[str] | None) -> tuple[Path, list[str]]:
    """The results folder, from `results_dir=`, the configuration, the variable or the default; and the other words."""
    return results_dir_of(words or []), [word for word in words or [] if not word.startswith("results_dir=")]


def only_results_dir(command: str, words: Sequence[str] | None) -> Path:
    """The results folder, for a sub-command that accepts nothing else.

    Raises:
        ConfigError: there are other words.
    """
    results_dir, others = split_results_dir(words)
    if others:
        raise ConfigError(f"{command} accepts only results_dir=DIR; got {' '.join(others)}")
    return results_dir


def plan_of(words: Sequence[str] | None, *, bounds: bool = False) -> Plan:
    """The plan of the sweep that the arguments describe, as `reinit-bench -m` would run it.

    Args:
        bounds: also what a sequential study comes to at least and at most.
    """
    from reinit_bench.cli.compose import composer
    from reinit_bench.sweep.plan import make_plan
    from reinit_bench.sweep.slurm.queue import queued_runs

    # So that a sweep's command line can be pasted unchanged: where it runs does not change what it would run.
    given = [word for word in readable(words or []) if not word.startswith(("hydra.", "hydra/"))]
    with composer() as compose:
        jobs, queue = compose.jobs(given), partial(queued_runs, strict=False)
        plan = make_plan(compose.planned(jobs), queue, jobs.waiting)
        asked = (jobs.least, jobs.most) if bounds else ()
        extremes = tuple(make_plan(compose.planned(some), queue) for some in asked)
        return replace(plan, bounds=extremes) if jobs.is_sequential else plan


_FILES = (".html", ".htm", ".png", ".pdf", ".svg", ".csv", ".md", ".tex", ".txt", ".json", ".gz", ".zip")


def progress_bar(what: str) -> Callable[[Iterable[Item]], Iterable[Item]]:
    """Goes through things with a bar on standard error, if that is a terminal; the bar is gone at the end."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return partial(track, description=what, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def collection_of(source: str, results_dir: Path, *, reconstructed: bool = False) -> Iterator[Collection]:
    """The runs to read, as long as the block lasts; those that cannot be used are named on standard error.

    Raises:
        ConfigError: there is no such source, or no such results folder.
        BundleError: the bundle cannot be used.
    """
    if reconstructed and source != "paper":
        raise ConfigError("--reconstructed is about the published tables: add --from paper")
    from reinit_bench.analysis.frame.collect import collect, published_runs
    from reinit_bench.store.bundle import unpacked

    if source == "paper":
        yield published_runs(reconstructed=reconstructed)
    elif source == "runs":
        check_exists(results_dir)
        yield _told(collect(results_dir))
    elif Path(source).is_file():
        with unpacked(Path(source)) as store:  # in a temporary folder, which is gone after the block
            yield replace(_told(collect(store.results_dir)), bundle=Path(source))
    else:
        raise ConfigError(
            f"--from must be runs (finished runs), paper (the published tables) or a bundle's file; got {source!r}"
        )


def _told(collection: Collection) -> Collection:
    tell_left_out(collection.corrupt)
    return collection


@contextmanager
def compared_side(source: str, *, reconstructed: bool) -> Iterator[Collection]:
    """One side of a comparison: like `collection_of`, and a results folder by its path.

    Raises:
        ConfigError: there is no such source.
        BundleError: the bundle cannot be used.
    """
    is_folder = (Path(source) / "runs").is_dir()
    if not is_folder and source != "paper" and not Path(source).is_file():
        why = "has no folder runs" if Path(source).is_dir() else "is not there"
        raise ConfigError(f"--compare takes two of: a results folder, a bundle's file, paper; {source} {why}")
    only_paper = reconstructed and source == "paper"
    with collection_of("runs" if is_folder else source, Path(source), reconstructed=only_paper) as collection:
        yield collection


def check_exists(results_dir: Path) -> None:
    """Raise ConfigError if there is no such results folder."""
    if not results_dir.exists():
        raise ConfigError(f"there is no results folder {results_dir}; start with: reinit-bench -m study=demo")


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
        print(f"left out: {plain(problem)}", file=sys.stderr)
    if problems:
        count = len(problems)
        print(f"{count} result{'s' if count != 1 else ''} left out; all others are used", file=sys.stderr)


def folder_of(source: str, results_dir: Path, usual: str, out: Path | None) -> Path:
    """Where the files go: what the paper or a bundle says never overwrites what the runs say.

    Raises:
        ConfigError: `out` is a file, or named like one.
    """
    if out is not None:
        if out.is_file() or (out.suffix.lower() in _FILES and not out.is_dir()):
            raise ConfigError(f"--out names a folder, into which files of fixed names go; {out} is a file's name")
        return out
    if source == "paper":
        return results_dir / "paper_conclusions"
    if source == "runs":
        return results_dir / usual
    from reinit_bench.store.bundle import ENDING

    return results_dir / "bundles" / Path(source).name.removesuffix(ENDING) / usual
