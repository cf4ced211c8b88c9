"""The paper's tables from finished runs, next to the published values."""

from __future__ import annotations

from typing import Annotated

import typer

from reinit_bench.cli.commands._source import Out, Reconstructed, Source, check_finished, collection_of, folder_of
from reinit_bench.cli.commands._words import split_results_dir

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Which tables; results_dir=DIR")]


def command(
    words: Names = None,
    source: Source = "runs",
    reconstructed: Reconstructed = False,
    out: Out = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Write the files and print nothing.")] = False,
    only_print: Annotated[bool, typer.Option("--print", help="Print the tables and write no files.")] = False,
) -> None:
    """Write the tables to RESULTS_DIR/tables as Markdown, LaTeX and CSV, and print them."""
    from reinit_bench.analysis.tables import build_tables, check_names, write_table

    results_dir, names = split_results_dir(words)
    check_names(names)  # a typo is told before thousands of runs are read
    collection = collection_of(source, results_dir, reconstructed=reconstructed)
    if not names:
        check_finished(collection)  # a named table is shown all the same, with the published values
    tables = list(build_tables(collection, names or None).values())
    if not quiet:
        from rich.console import Console

        from reinit_bench.analysis.tables.render.terminal import show

        console = Console()
        show(tables, console)
        if source == "runs":
            from reinit_bench.analysis.report.verdict import verdict

            found = verdict(collection)
            console.print(found.sentence, highlight=False)
            console.print(f"next: {found.command or 'reinit-bench report'}", highlight=False)
    for table in () if only_print else tables:
        write_table(table, folder_of(source, results_dir, "tables", out))
