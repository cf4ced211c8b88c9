"""Rows of the paper's tables made again: each arm's difference from BL with its 95% t-interval beside the paper's.

A panel for each row; the controls, which the paper does not have, are below the line.
"""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.style import BLACK, add_legend, method_style, panels_in_columns
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.stats.paper_rows import ARMS, BASELINE, CONTROLS, PaperRow, paper_rows


def draw(collection: Collection) -> Figure:
    """One panel for each row of the table of the same name."""
    rows = paper_rows(collection)
    if not rows:
        raise NothingToDraw(f"rows: no row with BL and another arm in {collection.path}; reinit-bench -m study=rows")
    figure, panels = panels_in_columns(len(rows), 2.0, min(2, len(rows)))
    for axes, row in zip(panels, rows, strict=True):
        _panel(axes, row)
    ours = Line2D([], [], color=BLACK, marker="o")
    theirs = Line2D([], [], color=BLACK, marker="D", linestyle="none", markerfacecolor="white")
    add_legend(figure, {"here, 95% t-interval": ours, "the paper": theirs})
    figure.supxlabel("difference from BL in test accuracy [points], paired by seed", fontsize=8)
    return figure


def _panel(axes: Axes, row: PaperRow) -> None:
    arms = [name for name in reversed(list(ARMS)) if name != BASELINE]
    gains = row.differences(BASELINE)
    for place, arm in enumerate(arms):
        style, published = method_style(arm), row.published_difference(arm)
        if published is not None:
            axes.plot([published], [place], "D", color=style.color, markerfacecolor="white", markersize=7)
        if arm in gains:
            margin = gains[arm].margin or 0.0
            axes.errorbar([gains[arm].value], [place], xerr=[margin], elinewidth=1.2, **style.mark(4))
    axes.axvline(0, color=BLACK, linewidth=0.8)
    axes.axhline(len(CONTROLS) - 0.5, color=BLACK, linewidth=0.4)
    axes.set_yticks(range(len(arms)), [ARMS[name] for name in arms])
    axes.grid(axis="y", visible=False)
    axes.set_ylim(-0.6, len(arms) - 0.4)
    axes.set_title(f"{row.label} (n = {row.runs['seed'].nunique()})")
