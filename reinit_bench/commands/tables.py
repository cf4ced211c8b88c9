"""The paper's tables from finished runs, beside the published values."""

from __future__ import annotations

from typing import Annotated

import typer

from reinit_bench.commands._words import split_results_dir
from reinit_bench.settings import ConfigError

Numbers = Annotated[list[str] | None, typer.Argument(metavar="[NUMBER]...", help="Which tables; results_dir=DIR")]


def command(words: Numbers = None) -> None:
    """Write the tables to RESULTS_DIR/tables as Markdown, LaTeX and CSV, and print them."""
    from rich.console import Console

    from reinit_bench.analysis.collect import collect
    from reinit_bench.analysis.tables import build_tables, write
    from reinit_bench.analysis.terminal import show

    results_dir, others = split_results_dir(words)
    collection = collect(results_dir)
    built = build_tables(collection, [_number(word) for word in others] or None)
    for table in built:
        write(table, results_dir / "tables")
    show(built, Console())
    if collection.corrupt:
        raise ConfigError("; ".join(collection.corrupt))


def _number(word: str) -> int:
    if not word.isdigit():
        raise ConfigError(f"tables takes numbers of tables and results_dir=DIR; got {word!r}")
    return int(word)
