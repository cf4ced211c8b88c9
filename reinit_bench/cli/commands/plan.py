"""What a sweep would run, by state, dataset and model, and its cost; nothing starts."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from reinit_bench.cli.commands._words import Words, plan_of, split_results_dir

if TYPE_CHECKING:
    from reinit_bench.sweep.cost import Sharing
    from reinit_bench.sweep.plan import Plan

LONG_HOURS = 48.0
"""A sweep that takes longer than this on CPU cores is for a cluster."""


def command(words: Words = None, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """What a sweep would run, by state, dataset and model, and what it costs; nothing starts."""
    from rich.console import Console

    from reinit_bench.store.store import Store
    from reinit_bench.sweep.cost import CPU, Rates, cost_line
    from reinit_bench.sweep.plan import waiting_line
    from reinit_bench.sweep.status import cost_left, plan_json, plan_table

    plan, rates = plan_of(words), Rates.of(Store(split_results_dir(words)[0]))
    auto, processes, sharing = _where(words, plan)
    if json:
        print(plan_json(plan, rates, auto, processes, sharing))
        return
    console = Console()
    console.print(plan_table(plan, "Plan", rates, auto, sharing))
    if plan.waiting:
        console.out(waiting_line(plan.waiting), highlight=False)
    cost = cost_left(plan.runs, rates, auto, processes or 1, sharing)
    console.out(cost_line(cost, processes), highlight=False)
    if processes and auto == CPU and cost.wall_hours > LONG_HOURS:
        there = shlex.join(["reinit-bench", "plan", *(words or []), "hydra/launcher=slurm"])
        console.out(f"on a cluster with GPUs: {there}", highlight=False)


def _where(words: Words, plan: Plan) -> tuple[str, int | None, Sharing]:
    """What `device=auto` means where the launcher runs the sweep, this machine's processes (None on SLURM), sharing."""
    from reinit_bench.cli.compose import composer
    from reinit_bench.sweep.cost import CPU, GPU
    from reinit_bench.sweep.local import checked_count, processes
    from reinit_bench.sweep.slurm.options import Options, check_one_of

    with composer() as compose:
        fields = compose.launcher(words or [])
    if fields.pop("_target_").endswith("SlurmLauncher"):
        options = Options.from_fields(fields)
        return (GPU if options.gpu_count else CPU), None, options.sharing
    workers, per_gpu = (checked_count(name, fields[name]) for name in ("workers", "workers_per_gpu"))
    check_one_of(workers, per_gpu)
    count, gpus = processes(plan.to_run(), workers, per_gpu)
    together = -(-count // len(gpus)) if gpus else 1
    return (GPU if gpus else CPU), count, lambda experiment: together
