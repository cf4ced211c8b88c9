"""Table 1 at a glance: test accuracy by strength of the signal and method, with its spread, next to the paper's."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.style import BLUE, VERMILION, method_style
from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.tables import build_tables


def draw(collection: Collection) -> Figure:
    """One panel for each strength of the signal: mean and one standard deviation over seeds."""
    data = build_tables(collection, [1])["1"].data
    done = data[data["n"] > 0]
    if done.empty:
        raise NothingToDraw(f"table1: no finished runs in {collection.path}; reinit-bench -m study=table1")
    alphas = sorted(done["alpha"].unique())
    figure = Figure(figsize=(2.9 * len(alphas), 3.1), layout="constrained")
    for axes, alpha in zip(figure.subplots(1, len(alphas), squeeze=False)[0], alphas, strict=True):
        _panel(axes, data[data["alpha"] == alpha])
        axes.set_title(f"signal strength α = {alpha:g}", fontsize=10)
    figure.axes[0].set_ylabel("test accuracy [%]")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    shown = rows.set_index("method").reindex(list(paper.LETTERS))
    place = range(len(shown))
    seeds = int(shown["n"].max())
    look: dict[str, Any] = {"linestyle": "none", "capsize": 2, "markersize": 5}
    ours, published = [x - 0.12 for x in place], [x + 0.12 for x in place]
    axes.errorbar(ours, shown["mean"], shown["std"], fmt="o", color=BLUE, label=f"ours, {seeds} seeds", **look)
    values, spreads = shown["published"], shown["published_std"]
    axes.errorbar(published, values, spreads, fmt="s", color=VERMILION, label="paper", **look)
    axes.set_xticks(list(place), [method_style(name).label for name in shown.index], rotation=45)
