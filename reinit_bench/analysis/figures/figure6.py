"""Figure 6: the 400 smallest margins on the training set, one dataset; all methods (top), LW against BL (bottom)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis.figures.panel_grid import PanelGrid, draw_curves
from reinit_bench.analysis.figures.panels import Panel, measured_panels
from reinit_bench.analysis.figures.style import plain_ticks
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.measurements import diagnostics_of

NEEDED = ("margins.smallest",)


def draw(collection: Collection) -> Figure:
    """A panel per architecture: margins of every method on a logarithmic axis, and of BL and LW on a linear one.

    Raises:
        NothingToDraw: no finished run has its margins measured.
    """
    return GRID.one_dataset(collection, "figure6")


def every_dataset_every_method(collection: Collection) -> Figure:
    """Figure 10, the full version of Figure 6's top: the smallest margins, all methods, every dataset."""
    return GRID.every_dataset(collection, "figure10", GRID.rows[0])


def every_dataset_lw_and_bl(collection: Collection) -> Figure:
    """Figure 11, the full version of Figure 6's bottom: the smallest margins, LW against BL, every dataset."""
    return GRID.every_dataset(collection, "figure11", GRID.rows[1])


VARIANTS = {"figure10": every_dataset_every_method, "figure11": every_dataset_lw_and_bl}


def margins(collection: Collection, found: Sequence[Panel]) -> pd.DataFrame:
    """A row for each dataset, model, method and rank (1 is the smallest margin): n seeds, the median margin of them."""
    parts = []
    for panel in found:
        for run in panel.runs.itertuples():
            smallest = diagnostics_of(collection, str(run.run_id))[NEEDED[0]]
            part = pd.DataFrame({"rank": range(1, len(smallest) + 1), "margin": smallest})
            names = {"dataset": panel.dataset, "model": panel.model}
            parts.append(part.assign(**names, method=str(run.method), method_label=str(run.method_label)))
    keys = ["dataset", "model", "method", "method_label", "rank"]
    groups = pd.concat(parts).groupby(keys, sort=False)["margin"]
    return groups.agg(["size", "median"]).reset_index().rename(columns={"size": "n", "median": "margin"})


def _every_method(axes: Axes, rows: pd.DataFrame) -> None:
    """All methods on a logarithmic axis: curves begin after the margins below zero, those of wrong answers."""
    axes.set_yscale("log")
    plain_ticks(axes.yaxis)
    _curves(axes, rows, rows["margin"] > 0)


def _lw_and_bl(axes: Axes, rows: pd.DataFrame) -> None:
    """LW and the baseline alone."""
    _curves(axes, rows, rows["method"].isin(["bl", "lw"]))


def _curves(axes: Axes, rows: pd.DataFrame, shown: pd.Series) -> None:
    last = int(rows["rank"].max())
    axes.set_xlim(0, last)
    draw_curves(axes, rows[shown], "rank", "margin", markevery=max(1, last // 6))


GRID = PanelGrid(
    panels=partial(measured_panels, what="margins", needed=NEEDED),
    data=margins,
    rows=[("margin (log)", _every_method), ("margin", _lw_and_bl)],
    heading="Smallest margins on the training set",
    xlabel="training example, by its margin (true label's softmax output minus the largest other one)",
)
