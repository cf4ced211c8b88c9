"""One HTML page of all tables, figures and runs, which opens without a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import takewhile
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from reinit_bench.cli.commands._source import Out, RunsSource, check_finished, collected, folder_of, runs_folder
from reinit_bench.cli.commands._words import only_results_dir
from reinit_bench.core.conf_dir import OwnConfig, option_file, options, own_config, own_configs
from reinit_bench.core.processes import sending_process
from reinit_bench.core.settings import ConfigError

if TYPE_CHECKING:
    from reinit_bench.analysis.report.page import Page, Progress
    from reinit_bench.analysis.runs.collect import Collection
    from reinit_bench.cli.compose import Composer
    from reinit_bench.sweep.plan import Plan

Words = Annotated[list[str] | None, typer.Argument(metavar="[results_dir=DIR]", help="Where the runs are")]


def command(words: Words = None, source: RunsSource = "runs", out: Out = None) -> None:
    """Write RESULTS_DIR/report.html: the verdict, all tables, figures and runs, and what is missing."""
    results_dir = only_results_dir("report", words)
    if source == "paper":
        raise ConfigError("report is about runs: --from must be runs or a bundle's file")
    from reinit_bench.store.store import no_garbage_collection

    with no_garbage_collection(), runs_folder(source, results_dir) as folder:
        page = _page(collected(source, folder))
        # Only now: this imports scipy, which takes a second.
        from reinit_bench.analysis.report.page_html import write_report

        path = write_report(page, folder_of(source, results_dir, "", out))
    for claim in page.claims:
        print(claim)
    print(page.verdict.sentence)
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


def _page(collection: Collection) -> Page:
    from reinit_bench.sweep.status import cause, stored_plan

    finished = [frame for frame in (collection.frame, collection.trials) if len(frame)]
    done = {run_id for frame in finished for run_id in frame["run_id"]}
    unfinished = stored_plan(collection.results_dir, but=done)
    if not unfinished.runs:
        check_finished(collection)  # otherwise the page says what became of those that have begun
    datasets = {name for frame in finished for name in frame["dataset"]}
    datasets |= {run.experiment.dataset["name"] for run in unfinished.runs}
    with _studies_elsewhere(collection.results_dir, datasets) as known:
        # Only now: these import matplotlib and scipy.
        from reinit_bench.analysis.report.build import build_page
        from reinit_bench.analysis.report.page import Trouble

        troubles = [
            Trouble(run_id=run.run_id, title=run.experiment.title, state=run.state, cause=cause(run))
            for run in sorted(unfinished.runs, key=lambda run: run.state)
        ]
        page = build_page(collection, troubles=troubles)
        studies = _progress(known(), done, unfinished)
    return replace(page, studies=sorted(studies, key=lambda one: (not one.begun, not one.total, one.study)))


class _Study(NamedTuple):
    """A study that is many runs: its name, the first sentence of its file, and the ids of its distinct runs.

    It has no ids if it is about other datasets than the results folder.
    """

    name: str
    about: str
    run_ids: frozenset[str]


@contextmanager
def _studies_elsewhere(results_dir: Path, datasets: set[str]) -> Iterator[Callable[[], list[_Study]]]:
    """Expand the studies of these datasets in another process; gives a function that waits for all studies.

    All of them have some thirty thousand runs, which would take longer than the rest of the page. Which runs a tuned
    study has depends on the trials in the results folder.
    """
    arguments = own_configs(), results_dir, datasets
    with sending_process(get_context("spawn"), _send_studies, *arguments) as (connection, process):

        def wait() -> list[_Study]:
            try:
                found: list[_Study] | ConfigError = connection.recv()
            except EOFError:
                process.join()
                why = f"the process that expands the studies ended with code {process.exitcode}"
                raise ConfigError(f"{why} (out of memory, or killed by hand); type the command again") from None
            if isinstance(found, ConfigError):
                raise found
            return found

        yield wait


def _send_studies(connection: Connection, own: Sequence[OwnConfig], results_dir: Path, datasets: set[str]) -> None:
    """The body of the other process: sends the studies, or the error that they end with."""
    try:
        connection.send(_known_studies(own, results_dir, datasets))
    except ConfigError as error:
        connection.send(ConfigError(str(error)))


def _known_studies(own: Sequence[OwnConfig], results_dir: Path, datasets: set[str]) -> list[_Study]:
    """Every study, the user's own too.

    Raises:
        ConfigError: one of them is not valid.
    """
    from reinit_bench.cli.compose import composer
    from reinit_bench.cli.main import one_line
    from reinit_bench.cli.words import readable
    from reinit_bench.store.store import no_garbage_collection

    with no_garbage_collection(), ExitStack() as stack:
        for folder, name in own:
            stack.enter_context(own_config(folder, name))
        try:
            more = readable([f"results_dir={results_dir.absolute()}"])
            return list(_expanded(stack.enter_context(composer()), more, datasets))
        except Exception as error:  # Hydra's cannot be sent to another process
            raise ConfigError(one_line(error)) from error


def _expanded(compose: Composer, more: Sequence[str], datasets: set[str]) -> Iterator[_Study]:
    for name in options("study"):
        if compose.study_of([f"study={name}"]).is_one_run:
            continue
        file, words = option_file("study", name), [f"study={name}", *more]
        jobs = [] if compose.datasets(words).isdisjoint(datasets) else compose.jobs(words)
        yield _Study(name, _about(file) if file else "", frozenset(run.run_id for run in compose.planned(jobs)))


def _progress(studies: Iterable[_Study], done: set[str], unfinished: Plan) -> Iterator[Progress]:
    """For each study, how many of its distinct runs are in each state."""
    from reinit_bench.analysis.report.page import Progress
    from reinit_bench.sweep.plan import STATES

    states = {**{run.run_id: run.state for run in unfinished.runs}, **dict.fromkeys(done, "done")}
    for study in studies:
        found = Counter(states.get(run_id, "missing") for run_id in study.run_ids)
        yield Progress(study=study.name, about=study.about, counts={state: found[state] for state in STATES})


def _about(path: Path) -> str:
    """The first sentence of the comment that opens an option's file; indented lines are commands."""
    lines = path.read_text(encoding="utf-8").splitlines()
    words = takewhile(lambda line: line.startswith("# ") and not line.startswith("#  "), lines)
    return " ".join(line[2:].strip() for line in words).partition(". ")[0]
