"""How runs stand: done, running, interrupted, failed, missing; and why they failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reinit_bench.commands._words import Words, plan_of, split_results_dir

if TYPE_CHECKING:
    from reinit_bench.sweep.plan import Plan


def command(words: Words = None) -> None:
    """How runs stand and why they failed: of a sweep (study=demo), or of everything in the results folder."""
    from rich.console import Console

    from reinit_bench.sweep.report import plan_table, stored_plan, trouble

    console = Console()
    results_dir, others = split_results_dir(words)
    plan = plan_of(words) if others else stored_plan(results_dir)
    if not plan.runs:
        console.out(f"no runs in {results_dir}; start with: reinit-bench -m study=demo", highlight=False)
        return
    console.print(plan_table(plan, "Status"))
    for line in [*trouble(plan), *_unprepared(plan)]:
        console.out(line, highlight=False)


def _unprepared(plan: Plan) -> list[str]:
    """Which datasets the runs still need, and the command that gets them."""
    from reinit_bench.data.prepare import preparable, readiness

    waiting = {run.experiment.dataset["name"] for run in plan.runs if run.state != "done"} & set(preparable())
    names = sorted(name for name in waiting if readiness(name) != "ready")
    return [f"datasets not ready: reinit-bench prepare dataset={','.join(names)}"] if names else []
