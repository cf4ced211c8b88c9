"""The states of runs (done, running, queued, interrupted, failed, missing), and why some failed."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reinit_bench.cli.commands._shared import Words, plan_of, split_results_dir, tell_left_out
from reinit_bench.core.settings import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from reinit_bench.sweep.plan import Plan


def command(
    words: Words = None,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and refresh every few seconds.")] = False,
    seconds: Annotated[float, typer.Option(help="With --watch: how often to look.", min=0.1)] = 10.0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    forget: Annotated[str, typer.Option(metavar="failed", help="Delete what failed runs have left.")] = "",
) -> None:
    """The states of a sweep's runs (study=demo), or of everything in the results folder, and why some failed."""
    from rich.console import Console

    from reinit_bench.sweep.status import plan_json, plan_table, stored_plan

    results_dir, others = split_results_dir(words)
    plan, console = plan_of(words) if others else stored_plan(results_dir), Console()
    tell_left_out(plan.left_out)
    if forget:
        _forget(plan, forget)
    elif json:
        print(plan_json(plan))
    elif not plan.runs and not (lines := _lines(plan, results_dir)):
        console.out(f"no runs in {results_dir}; start with: reinit-bench -m study=demo", highlight=False)
    elif not plan.runs:
        console.out("\n".join([f"no run in {results_dir} has begun", *lines]), highlight=False)
    elif watch:
        _watch(plan, results_dir, seconds, console)
    else:
        console.print(plan_table(plan, "Status"))
        for line in _lines(plan, results_dir):
            console.out(line, highlight=False)  # whole, for grep and for copying


def _forget(plan: Plan, what: str) -> None:
    """Delete the folders of failed runs: nothing that is done, under way or to be resumed."""
    from reinit_bench.store.lease import forget_failed
    from reinit_bench.store.store import Store

    if what != "failed":
        raise ConfigError(f"--forget must be failed; got {what!r}")
    forgotten = [
        run for run in plan.in_state("failed") if forget_failed(Store(run.execution.results_dir).run(run.run_id))
    ]
    for run in forgotten:
        print(f"forgotten: {run.experiment.title} (run {run.run_id})")
    print(f"{len(forgotten)} of {plan.counts['failed']} failed runs forgotten")


def _watch(plan: Plan, results_dir: Path, seconds: float, console: Console) -> None:
    """Redraw until every run is done, or Ctrl-C."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from reinit_bench.sweep.slurm.queue import queued_runs
    from reinit_bench.sweep.status import plan_table

    def picture() -> Group:
        return Group(plan_table(plan, "Status"), *(Text(line) for line in _lines(plan, results_dir)))

    with Live(picture(), console=console, auto_refresh=False) as live:
        while plan.counts["done"] < len(plan.runs):
            time.sleep(seconds)
            plan = plan.looked_up_again(partial(queued_runs, strict=False))
            live.update(picture(), refresh=True)


def _lines(plan: Plan, results_dir: Path) -> list[str]:
    """What stands below the table: what failed and why, and what is in the way of the rest."""
    from reinit_bench.sweep.plan import waiting_line
    from reinit_bench.sweep.slurm.queue import slurm_trouble
    from reinit_bench.sweep.status import trouble

    # SLURM has just not answered for the plan: asking it again would take as long and say the same.
    on_slurm = (
        [] if plan.in_state("unknown") else slurm_trouble(results_dir, {run.run_id for run in plan.in_state("done")})
    )
    waiting = [waiting_line(plan.waiting, sequential=plan.bounds is not None)] if plan.waiting else []
    return [*waiting, *trouble(plan), *on_slurm, *_unprepared(plan)]


def _unprepared(plan: Plan) -> list[str]:
    """The commands that prepare what the runs still need; one for all datasets that need nothing but their name."""
    waiting = {repr(run.experiment.dataset): run.experiment.dataset for run in plan.runs if run.state != "done"}
    if not waiting:
        return []
    from reinit_bench.data.preparing.command import preparing

    commands = sorted({command for section in waiting.values() if (command := preparing(section))})
    alone = [command for command in commands if " dataset." not in command]
    names = ",".join(command.partition(" dataset=")[2] for command in alone)
    together = [f"reinit-bench prepare dataset={names}"] if alone else []
    return [f"data not ready: {line}" for line in (*together, *(line for line in commands if line not in alone))]
