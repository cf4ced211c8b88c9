"""The paper's tables from finished runs, next to the published values."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from reinit_bench.cli.commands._shared import (
    Out,
    Reconstructed,
    Source,
    check_finished,
    collection_of,
    compared_side,
    folder_of,
    split_results_dir,
)
from reinit_bench.core.settings import ConfigError

if TYPE_CHECKING:
    from reinit_bench.analysis.tables.table import Table

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Which tables; results_dir=DIR")]
Compare = Annotated[
    tuple[str, str] | None,
    typer.Option(
        metavar="A B", help="The table compare alone: A and B, each a results folder, a bundle or paper, side by side."
    ),
]


def command(
    words: Names = None,
    source: Source = "runs",
    compare: Compare = None,
    reconstructed: Reconstructed = False,
    out: Out = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Write the files and print nothing.")] = False,
    only_print: Annotated[bool, typer.Option("--print", help="Print the tables and write no files.")] = False,
) -> None:
    """Write the tables to RESULTS_DIR/tables as Markdown, LaTeX and CSV, and print them."""
    from reinit_bench.analysis.tables import build_tables, known_tables, write_table

    results_dir, names = split_results_dir(words)
    closing: list[str] = []
    if compare is not None:
        if names or source != "runs":
            raise ConfigError("--compare A B makes one table: leave out names of tables and --from")
        tables = [_compared(*compare, reconstructed=reconstructed)]
    else:
        known_tables(names)  # a typo is told before thousands of runs are read
        with collection_of(source, results_dir, reconstructed=reconstructed) as collection:
            if not names:
                check_finished(collection)  # a named table is shown all the same, with the published values
            tables = list(build_tables(collection, names or None).values())
            if not quiet and collection.source is None and not _conclude_themselves(names):
                from reinit_bench.analysis.report.paper_claim import paper_claim

                found = paper_claim(collection)
                then = [f"next: {found.command or 'reinit-bench report'}"] if source == "runs" else []
                closing = [found.sentence, *then]
    for table in () if only_print else tables:
        write_table(table, folder_of(source, results_dir, "tables", out))
    if not quiet:
        _show(tables, closing)


def _conclude_themselves(names: Sequence[str]) -> bool:
    """Whether only tables were named that end with conclusions of their own."""
    return bool(names) and all(name.partition("-")[0] in ("verdict", "rows") for name in names)


def _compared(first: str, second: str, *, reconstructed: bool) -> Table:
    from reinit_bench.analysis.tables.compare import compare_table

    if reconstructed and "paper" not in (first, second):
        raise ConfigError("--reconstructed is about the published tables: compare with paper")
    side = partial(compared_side, reconstructed=reconstructed)
    with side(first) as one, side(second) as other:
        return compare_table(one, other, (first, second))


def _show(tables: Sequence[Table], closing: Sequence[str]) -> None:
    from rich.console import Console

    from reinit_bench.analysis.tables.render.terminal import show

    console = Console()
    show(tables, console)
    for line in closing:
        console.print(line, highlight=False, markup=False)
