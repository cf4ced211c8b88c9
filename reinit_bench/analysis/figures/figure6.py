"""Figure 6: the 400 smallest margins on the training set, one dataset; all methods (top), LW against BL (bottom)."""

from __future__ import annotations

from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis.figures.panels import PanelGrid, averages, draw_curves, measured_runs
from reinit_bench.analysis.figures.style import plain_ticks
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.measurements import diagnostics_of

NEEDED = ("margins.smallest",)


def draw(collection: Collection) -> Figure:
    """A panel per architecture: margins of every method on a logarithmic axis, and of BL and LW on a linear one."""
    return GRID.one_dataset(collection, "figure6")


def every_dataset_every_method(collection: Collection) -> Figure:
    """Figure 10, the full version of Figure 6's top: the smallest margins, all methods, every dataset."""
    return GRID.every_dataset(collection, "figure10", "margin (log)")


def every_dataset_lw_and_bl(collection: Collection) -> Figure:
    """Figure 11, the full version of Figure 6's bottom: the smallest margins, LW against BL, every dataset."""
    return GRID.every_dataset(collection, "figure11", "margin")


VARIANTS = {"figure10": every_dataset_every_method, "figure11": every_dataset_lw_and_bl}


def margins(collection: Collection, runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each dataset, model, method and rank (1 is the smallest margin): n seeds, the median margin of them."""

    def points_of(run_id: str) -> pd.DataFrame:
        smallest = diagnostics_of(collection, run_id)[NEEDED[0]]
        return pd.DataFrame({"rank": range(1, len(smallest) + 1), "margin": smallest})

    return averages(runs, points_of, ["rank"], "median")


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
    runs=partial(measured_runs, what="margins", needed=NEEDED),
    data=margins,
    rows={"margin (log)": _every_method, "margin": _lw_and_bl},
    heading="Smallest margins on the training set",
    xlabel="training example, by its margin (true label's softmax output minus the largest other one)",
)
