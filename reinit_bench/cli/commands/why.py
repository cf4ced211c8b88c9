"""Why two runs are two: in what their configurations differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reinit_bench.cli.commands._shared import split_results_dir
from reinit_bench.core.settings import ConfigError

if TYPE_CHECKING:
    from reinit_bench.core.config import Experiment

Runs = Annotated[
    list[str], typer.Argument(metavar="RUN_ID RUN_ID", help="Two run ids or their beginnings; results_dir=DIR")
]


def command(words: Runs) -> None:
    """Show in what two runs differ, of all that decides their ids."""
    from rich.console import Console
    from rich.table import Table

    results_dir, ids = split_results_dir(words)
    if len(ids) != 2:
        raise ConfigError("why needs two run ids, as printed by `reinit-bench status`")
    first, second = (_experiment(results_dir, beginning) for beginning in ids)
    left, right = dict(_flat(first.identity)), dict(_flat(second.identity))
    table = Table("field", first.run_id, second.run_id)
    for field in [*left, *(field for field in right if field not in left)]:
        values = [repr(side[field]) if field in side else "(not there)" for side in (left, right)]
        if values[0] != values[1]:
            table.add_row(field, *values)
    console = Console(markup=False, emoji=False)
    if table.row_count:
        console.print(table)
    else:
        console.out(f"they are one run: {first.title}", highlight=False)


def _experiment(results_dir: Path, beginning: str) -> Experiment:
    from reinit_bench.store.reader import read_one
    from reinit_bench.store.store import Store

    store = Store(results_dir)
    found = [run_id for run_id in store.run_ids() if run_id.startswith(beginning)]
    if len(found) != 1:
        raise ConfigError(f"{len(found) or 'no'} runs in {results_dir} have an id that begins with {beginning!r}")
    run = read_one(store.run(found[0]))
    if run is None:
        raise ConfigError(f"run {found[0]} has no configuration yet")
    return run.experiment


def _flat(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _flat(item, f"{path}{key}.")
        else:
            yield f"{path}{key}", item
