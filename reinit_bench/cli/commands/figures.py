"""The paper's figures from finished runs, as PNG and PDF."""

from __future__ import annotations

from typing import Annotated

import typer

from reinit_bench.cli.commands._source import Out, Reconstructed, Source, check_finished, collection_of, folder_of
from reinit_bench.cli.commands._words import split_results_dir

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Which figures; results_dir=DIR")]


def command(
    words: Names = None, source: Source = "runs", reconstructed: Reconstructed = False, out: Out = None
) -> None:
    """Draw figures to RESULTS_DIR/figures as PNG and PDF."""
    from reinit_bench.analysis.figures import NothingToDraw, known_figures, write_figure
    from reinit_bench.store.store import no_garbage_collection

    results_dir, given = split_results_dir(words)
    names = [f"figure{name}" if name.isdigit() else name for name in given]
    chosen = known_figures(names or None, from_paper=source == "paper")
    with no_garbage_collection(), collection_of(source, results_dir, reconstructed=reconstructed) as collection:
        if not names:
            check_finished(collection)
        for name, known in chosen.items():
            try:
                figure = known.draw(collection)
            except NothingToDraw as missing:
                if names:
                    raise
                print(missing)  # the others can still be drawn
                continue
            for path in write_figure(figure, name, folder_of(source, results_dir, "figures", out)):
                print(path)
