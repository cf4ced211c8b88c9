"""One HTML page of all tables, figures and runs, which opens without a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reinit_bench.cli.commands._source import Out, RunsSource, check_finished, collection_of, folder_of
from reinit_bench.cli.commands._words import only_results_dir
from reinit_bench.core.settings import ConfigError

if TYPE_CHECKING:
    from reinit_bench.analysis.report.page import Page, Progress
    from reinit_bench.analysis.runs.collect import Collection
    from reinit_bench.sweep.plan import Plan

Words = Annotated[list[str] | None, typer.Argument(metavar="[results_dir=DIR]", help="Where the runs are")]


def command(words: Words = None, source: RunsSource = "runs", out: Out = None) -> None:
    """Write RESULTS_DIR/report.html: the verdict, all tables, figures and runs, and what is missing."""
    results_dir = only_results_dir("report", words)
    if source == "paper":
        raise ConfigError("report is about runs: --from must be runs or a bundle's file")
    with collection_of(source, results_dir) as collection:
        # Only now: this imports scipy, which takes a second.
        from reinit_bench.analysis.report.page_html import write_report

        page = _page(collection)
        path = write_report(page, folder_of(source, results_dir, "", out))
    for claim in page.claims:
        print(claim)
    print(page.verdict.sentence)
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


def _page(collection: Collection) -> Page:
    from reinit_bench.analysis.report.build import build_page
    from reinit_bench.analysis.report.page import Trouble
    from reinit_bench.sweep.status import cause, stored_plan

    done = {*collection.frame["run_id"], *(collection.trials["run_id"] if len(collection.trials) else ())}
    unfinished = stored_plan(collection.results_dir, but=done)
    if not unfinished.runs:
        check_finished(collection)  # otherwise the page says what became of those that have begun
    troubles = [
        Trouble(run_id=run.run_id, title=run.experiment.title, state=run.state, cause=cause(run))
        for run in sorted(unfinished.runs, key=lambda run: run.state)
    ]
    studies = sorted(_studies(done, unfinished), key=lambda one: (not one.begun, one.study))
    return build_page(collection, studies=studies, troubles=troubles)


def _studies(done: set[str], unfinished: Plan) -> Iterator[Progress]:
    """For each study, the user's own too, how many of its distinct runs are in each state."""
    from reinit_bench.analysis.report.page import Progress
    from reinit_bench.cli.compose import composer
    from reinit_bench.core.conf_dir import option_file, options
    from reinit_bench.sweep.plan import STATES

    states = {**{run.run_id: run.state for run in unfinished.runs}, **dict.fromkeys(done, "done")}
    with composer() as compose:
        for name in options("study"):
            if compose.study_of([f"study={name}"]).is_one_run:
                continue
            runs = {run.run_id for run in compose.planned(compose.jobs([f"study={name}"]))}
            found = Counter(states.get(run_id, "missing") for run_id in runs)
            file = option_file("study", name)
            about = _about(file) if file else ""
            yield Progress(study=name, about=about, counts={state: found[state] for state in STATES})


def _about(path: Path) -> str:
    """The first sentence of the comment that opens an option's file; indented lines are commands."""
    lines = path.read_text(encoding="utf-8").splitlines()
    words = takewhile(lambda line: line.startswith("# ") and not line.startswith("#  "), lines)
    return " ".join(line[2:].strip() for line in words).partition(". ")[0]
