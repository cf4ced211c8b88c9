"""The paper's tables from finished runs, next to the published values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reinit_bench.cli.commands._source import Source, collection_of, folder_of
from reinit_bench.cli.commands._words import split_results_dir
from reinit_bench.core.settings import ConfigError

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Which tables; results_dir=DIR")]

_NEEDED = ("reinit_bench.analysis.tables", "statsmodels.stats.multitest")


def command(
    words: Names = None,
    source: Source = "runs",
    quiet: Annotated[bool, typer.Option("--quiet", help="Write the files and print nothing.")] = False,
) -> None:
    """Write the tables to RESULTS_DIR/tables as Markdown, LaTeX and CSV, and print them."""
    from reinit_bench.store.store import no_garbage_collection

    results_dir, names = split_results_dir(words)
    with no_garbage_collection():
        _tables(results_dir, names, source, quiet)


def _tables(results_dir: Path, names: list[str], source: str, quiet: bool) -> None:
    collection = collection_of(source, results_dir, _NEEDED if not names else ())
    from reinit_bench.analysis.tables import build_tables, write

    built = build_tables(collection, names or None)
    for table in built:
        write(table, folder_of(source, results_dir, "tables"))
    if not quiet:
        from rich.console import Console

        from reinit_bench.analysis.terminal import show

        show(built, Console())
    if collection.corrupt:
        raise ConfigError("; ".join(collection.corrupt))
