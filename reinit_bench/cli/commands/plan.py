"""What a sweep would run, by state, dataset and model, and its cost; nothing starts."""

from __future__ import annotations

from typing import Annotated

import typer

from reinit_bench.cli.commands._words import Words, plan_of, split_results_dir


def command(words: Words = None, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """What a sweep would run, by state, dataset and model, and what it costs; nothing starts."""
    from rich.console import Console

    from reinit_bench.core.machine import visible_gpus
    from reinit_bench.store.store import Store
    from reinit_bench.sweep.cost import CPU, GPU, Rates, cost_line, hours_line
    from reinit_bench.sweep.plan import waiting_line
    from reinit_bench.sweep.status import cost_left, plan_json, plan_table

    plan, rates = plan_of(words), Rates.of(Store(split_results_dir(words)[0]))
    elsewhere = any(word.startswith("hydra/launcher=") and word != "hydra/launcher=local" for word in words or [])
    auto = GPU if elsewhere or visible_gpus() else CPU
    if json:
        print(plan_json(plan, rates, auto))
        return
    console = Console()
    console.print(plan_table(plan, "Plan", rates, auto))
    if plan.waiting:
        console.out(waiting_line(plan.waiting), highlight=False)
    console.out(cost_line(cost_left(plan.runs, rates, auto)), highlight=False)
    if auto == CPU and GPU in (there := cost_left(plan.runs, rates).hours):
        console.out(f"with hydra/launcher=slurm: about {hours_line(there)}", highlight=False)
