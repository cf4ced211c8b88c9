"""What a sweep would run, by state, dataset and model, and its cost; nothing starts."""

from __future__ import annotations

from typing import Annotated

import typer

from reinit_bench.cli.commands._words import Words, plan_of, split_results_dir


def command(words: Words = None, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """What a sweep would run, by state, dataset and model, and what it costs; nothing starts."""
    from rich.console import Console

    from reinit_bench.store.store import Store
    from reinit_bench.sweep.cost import Rates, cost_line
    from reinit_bench.sweep.status import cost_left, plan_json, plan_table

    plan, rates = plan_of(words), Rates.of(Store(split_results_dir(words)[0]))
    if json:
        print(plan_json(plan, rates))
        return
    console = Console()
    console.print(plan_table(plan, "Plan", rates))
    console.out(cost_line(cost_left(plan.runs, rates)), highlight=False)
