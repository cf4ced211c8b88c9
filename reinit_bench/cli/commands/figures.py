"""The paper's figures from finished runs, as PNG and PDF."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from reinit_bench.cli.commands._shared import (
    Out,
    Reconstructed,
    Source,
    check_finished,
    collection_of,
    folder_of,
    split_results_dir,
)
from reinit_bench.core.errors import in_one_line
from reinit_bench.core.settings import ConfigError

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Which figures; results_dir=DIR")]


def command(words: Names = None, source: Source = "runs", reconstructed: Reconstructed = False, out: Out = None) -> int:
    """Draw figures to RESULTS_DIR/figures as PNG and PDF."""
    from reinit_bench.analysis.figures import NothingToDraw, known_figures, write_figure

    results_dir, given = split_results_dir(words)
    names = [f"figure{name}" if name.isdigit() else name for name in given]
    chosen = known_figures(names or None, from_paper=source == "paper")
    with collection_of(source, results_dir, reconstructed=reconstructed) as collection:
        if not names:
            check_finished(collection)
        folder = folder_of(source, results_dir, "figures", out)
        failed = 0
        for name, figure in chosen.items():
            try:
                print(*write_figure(folder, name, figure.draw(collection)), sep="\n")
            except NothingToDraw as error:
                if names:
                    raise
                print(error)  # the others can still be drawn
            except ConfigError:
                raise
            except Exception as error:  # a fault of ours, or runs as nobody has met them
                if names:
                    raise
                print(f"{name}: {in_one_line(error)}", file=sys.stderr)
                failed = 1
    return failed
