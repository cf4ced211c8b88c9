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

    with (
        no_garbage_collection(),
        runs_folder(source, results_dir) as folder,
        _studies_elsewhere(folder) as known,
    ):
        page = _page(collected(source, folder), known)
        # Only now: this imports scipy, which takes a second.
        from reinit_bench.analysis.report.page_html import write_report

        path = write_report(page, folder_of(source, results_dir, "", out))
    for claim in page.claims:
        print(claim)
    print(page.verdict.sentence)
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


def _page(collection: Collection, known: Callable[[], list[_Study]]) -> Page:
    from reinit_bench.sweep.status import cause, stored_plan

    done = {*collection.frame["run_id"], *(collection.trials["run_id"] if len(collection.trials) else ())}
    unfinished = stored_plan(collection.results_dir, but=done)
    if not unfinished.runs:
        check_finished(collection)  # otherwise the page says what became of those that have begun
    # Only now: these import matplotlib and scipy.
    from reinit_bench.analysis.report.build import build_page
    from reinit_bench.analysis.report.page import Trouble

    troubles = [
        Trouble(run_id=run.run_id, title=run.experiment.title, state=run.state, cause=cause(run))
        for run in sorted(unfinished.runs, key=lambda run: run.state)
    ]
    page = build_page(collection, troubles=troubles)
    studies = sorted(_progress(known(), done, unfinished), key=lambda one: (not one.begun, one.study))
    return replace(page, studies=studies)


class _Study(NamedTuple):
    """A study that is many runs: its name, the first sentence of its file, and the ids of its distinct runs."""

    name: str
    about: str
    run_ids: frozenset[str]


@contextmanager
def _studies_elsewhere(results_dir: Path) -> Iterator[Callable[[], list[_Study]]]:
    """Expand all studies in another process; gives a function that waits for them.

    They have some thirty thousand runs, which take nearly as long as all the rest of the page. Which runs a tuned study
    has depends on the trials in the results folder.
    """
    with sending_process(get_context("spawn"), _send_studies, own_configs(), results_dir) as (connection, process):

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


def _send_studies(connection: Connection, own: Sequence[OwnConfig], results_dir: Path) -> None:
    """The body of the other process: sends the studies, or the error that they end with."""
    try:
        connection.send(_known_studies(own, results_dir))
    except ConfigError as error:
        connection.send(ConfigError(str(error)))


def _known_studies(own: Sequence[OwnConfig], results_dir: Path) -> list[_Study]:
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
            return list(_expanded(stack.enter_context(composer()), readable([f"results_dir={results_dir.absolute()}"])))
        except Exception as error:  # Hydra's cannot be sent to another process
            raise ConfigError(one_line(error)) from error


def _expanded(compose: Composer, more: Sequence[str]) -> Iterator[_Study]:
    for name in options("study"):
        if compose.study_of([f"study={name}"]).is_one_run:
            continue
        file = option_file("study", name)
        runs = frozenset(run.run_id for run in compose.planned(compose.jobs([f"study={name}", *more])))
        yield _Study(name, _about(file) if file else "", runs)


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
