"""One HTML page of all tables, figures and runs, which opens without a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from reinit_bench.cli.commands._shared import (
    Out,
    RunsSource,
    check_finished,
    collection_of,
    folder_of,
    only_results_dir,
    progress_bar,
)
from reinit_bench.core.conf_dir import option_file, option_section, options
from reinit_bench.core.settings import ConfigError

if TYPE_CHECKING:
    from reinit_bench.analysis.frame.collect import Collection
    from reinit_bench.analysis.report.page import Page, Progress

Words = Annotated[list[str] | None, typer.Argument(metavar="[results_dir=DIR]", help="Where the runs are")]


def command(words: Words = None, source: RunsSource = "runs", out: Out = None) -> None:
    """Write RESULTS_DIR/report.html: the verdict, all tables, figures and runs, and what is missing."""
    results_dir = only_results_dir("report", words)
    if source == "paper":
        raise ConfigError("report is about runs: --from must be runs or a bundle's file")
    from reinit_bench.analysis.report.page import write_report

    with collection_of(source, results_dir) as collection:
        page = _page(collection)
        path = write_report(page, folder_of(source, results_dir, "", out))
    for claim in page.claims:
        print(claim)
    print(page.claim.sentence)
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


def _page(collection: Collection) -> Page:
    from reinit_bench.analysis.report.page import Trouble, build_page, pictures
    from reinit_bench.sweep.status import cause, stored_plan

    finished = [frame for frame in (collection.frame, collection.trials) if len(frame)]
    done = {run_id for frame in finished for run_id in frame["run_id"]}
    unfinished = stored_plan(collection.results_dir, but=done)
    if not unfinished.runs:
        check_finished(collection)  # otherwise the page says what became of those that have begun
    datasets = {name for frame in finished for name in frame["dataset"]}
    datasets |= {run.experiment.dataset["name"] for run in unfinished.runs}
    troubles = [
        Trouble(run_id=run.run_id, title=run.experiment.title, state=run.state, cause=cause(run))
        for run in sorted(unfinished.runs, key=lambda run: run.state)
    ]
    states = {**{run.run_id: run.state for run in unfinished.runs}, **dict.fromkeys(done, "done")}
    studies = [_progress(study, states) for study in _known_studies(collection.results_dir, datasets)]
    ordered = sorted(studies, key=lambda one: (not one.begun, not one.total, one.study))
    draw = partial(pictures, track=progress_bar("Drawing figures"))
    return build_page(collection, studies=ordered, troubles=troubles, draw=draw)


class _Study(NamedTuple):
    """A study that is many runs: its name, the first sentence of its file, and the ids of its distinct runs.

    It has no ids if it is about other datasets than the results folder.
    """

    name: str
    about: str
    run_ids: frozenset[str]


def _known_studies(results_dir: Path, datasets: set[str]) -> Iterator[_Study]:
    """Every study, the user's own too; which runs a tuned study has depends on the trials in the results folder.

    Raises:
        ConfigError: one of them is not valid.
    """
    from reinit_bench.cli.compose import composer
    from reinit_bench.cli.words import readable

    more = readable([f"results_dir={results_dir.absolute()}"])
    with composer() as compose:
        usual = compose.compose([])["dataset"]["name"]
        for name in progress_bar("Looking at studies")(options("study")):
            study = compose.study_of([f"study={name}"])
            if study.is_one_run:
                continue
            file, names = option_file("study", name), _datasets(study.points(), usual)
            jobs = compose.jobs([f"study={name}", *more]) if names & {None, *datasets} else []
            yield _Study(name, _about(file) if file else "", frozenset(run.run_id for run in compose.planned(jobs)))


def _datasets(points: Sequence[Mapping[str, Any]], usual: str) -> set[Any]:
    """The names of a study's datasets, without composing its runs; None stands for those that are named elsewhere."""
    if {"dataset.name", "dataset.builder"} & {axis for point in points for axis in point}:
        return {None}
    chosen = {point.get("dataset", usual) for point in points}
    return {(option_section("dataset", str(option)) or {}).get("name") for option in chosen}


def _progress(study: _Study, states: Mapping[str, str]) -> Progress:
    """How many of a study's distinct runs are in each state."""
    from reinit_bench.analysis.report.page import Progress
    from reinit_bench.sweep.plan import STATES

    found = Counter(states.get(run_id, "missing") for run_id in study.run_ids)
    return Progress(study=study.name, about=study.about, counts={state: found[state] for state in STATES})


def _about(path: Path) -> str:
    """The first sentence of the comment that opens an option's file; indented lines are commands."""
    lines = path.read_text(encoding="utf-8").splitlines()
    words = takewhile(lambda line: line.startswith("# ") and not line.startswith("#  "), lines)
    return " ".join(line[2:].strip() for line in words).partition(". ")[0]
