"""The paper's figures from finished runs, as PNG and PDF."""

from __future__ import annotations

from typing import Annotated

import typer

from reinit_bench.commands._words import split_results_dir

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Which figures; results_dir=DIR")]


def command(words: Names = None) -> None:
    """Draw figures to RESULTS_DIR/figures as PNG and PDF."""
    from reinit_bench.analysis.collect import collect
    from reinit_bench.analysis.figures import NothingToDraw, drawers, write

    results_dir, names = split_results_dir(words)
    chosen = drawers(names or None)
    collection = collect(results_dir)
    for name, draw in chosen.items():
        try:
            figure = draw(collection)
        except NothingToDraw as missing:
            if names:
                raise
            print(missing)  # the others can still be drawn
            continue
        for path in write(figure, name, results_dir / "figures"):
            print(path)
