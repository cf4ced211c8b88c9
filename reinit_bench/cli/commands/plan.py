"""What a sweep would run, by state, dataset and model, and its cost; nothing starts."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from reinit_bench.cli.commands._shared import Words, plan_of, split_results_dir

if TYPE_CHECKING:
    from reinit_bench.sweep.cost import Estimate
    from reinit_bench.sweep.plan import Plan

LONG_HOURS = 48.0
"""A sweep that takes longer than this on CPU cores is for a cluster."""


def command(words: Words = None, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """What a sweep would run, by state, dataset and model, and what it costs; nothing starts."""
    from rich.console import Console

    from reinit_bench.sweep.cost import CPU, cost_line
    from reinit_bench.sweep.plan import waiting_line
    from reinit_bench.sweep.status import plan_json, plan_table

    plan = plan_of(words, bounds=True)
    estimate = _estimate(words, plan)
    if json:
        print(plan_json(plan, estimate))
        return
    console = Console()
    console.print(plan_table(plan, "Plan", estimate))
    if plan.waiting:
        console.out(waiting_line(plan.waiting, sequential=plan.bounds is not None), highlight=False)
    for word, whole in zip(("least", "most"), plan.bounds or (), strict=False):
        left = cost_line(estimate.cost(whole.runs), estimate.processes)
        console.out(f"in all at {word} {len(whole.runs):,} runs: {left}", highlight=False)
    cost = estimate.cost(plan.runs)
    now = "now: " if plan.bounds else ""
    console.out(f"{now}{cost_line(cost, estimate.processes)}", highlight=False)
    if estimate.processes and estimate.auto == CPU and cost.wall_hours > LONG_HOURS:
        there = shlex.join(["reinit-bench", "plan", *(words or []), "hydra/launcher=slurm"])
        console.out(f"on a cluster with GPUs: {there}", highlight=False)


def _estimate(words: Words, plan: Plan) -> Estimate:
    """What the runs would cost where the launcher that the words choose runs them."""
    from reinit_bench.cli.compose import composer
    from reinit_bench.store.store import Store
    from reinit_bench.sweep.cost import CPU, GPU, Estimate, Rates
    from reinit_bench.sweep.local import processes
    from reinit_bench.sweep.slurm.options import Options, Workers

    rates = Rates.of(Store(split_results_dir(words)[0]))
    with composer() as compose:
        fields = compose.launcher(words or [])
    if fields.pop("_target_").endswith("SlurmLauncher"):
        options = Options.from_fields(fields)
        return Estimate(rates, GPU if options.gpu_count else CPU, sharing=options.sharing(options))
    count, gpus = processes(plan.to_run(), Workers(**fields))
    return Estimate(rates, GPU if gpus else CPU, count, -(-count // len(gpus)) if gpus else 1)
