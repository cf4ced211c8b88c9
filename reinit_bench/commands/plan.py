"""What a sweep would run, by state, dataset and model; nothing starts."""

from __future__ import annotations

from typing import Annotated

import typer

from reinit_bench.commands._words import Words, plan_of


def command(words: Words = None, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """What a sweep would run, by state, dataset and model; nothing starts."""
    from rich.console import Console

    from reinit_bench.sweep.report import plan_json, plan_table

    plan = plan_of(words)
    if json:
        print(plan_json(plan))
    else:
        Console().print(plan_table(plan, "Plan"))
