"""Figure 6: the 400 smallest margins on the training set, one dataset; all methods (top), LW against BL (bottom)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.figures.grid import curves, one_dataset
from reinit_bench.analysis.figures.measured import measured_panels
from reinit_bench.analysis.figures.style import styled
from reinit_bench.analysis.panels import Panel, of_one_dataset
from reinit_bench.analysis.per_run import diagnostics_of

NEEDED = ("margins.smallest",)
HEADING = "Smallest margins on the training set"
TOP, BOTTOM = "margin (log)", "margin"
XLABEL = "training example, by its margin (true label's softmax output minus the largest other one)"


@styled
def draw(collection: Collection) -> Figure:
    """A panel per architecture: margins of every method on a logarithmic axis, and of BL and LW on a linear one.

    Raises:
        NothingToDraw: no finished run has its margins measured.
    """
    found = of_one_dataset(measured(collection, "figure6"))
    rows = [(TOP, every_method), (BOTTOM, lw_and_bl)]
    return one_dataset(found, margins(collection, found), rows, heading=HEADING, xlabel=XLABEL)


def measured(collection: Collection, figure: str) -> list[Panel]:
    """The panels of runs whose margins were measured.

    Raises:
        NothingToDraw: there is none.
    """
    return measured_panels(collection, figure, "margins", NEEDED)


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


def every_method(axes: Axes, rows: pd.DataFrame) -> None:
    """All methods on a logarithmic axis: curves begin after the margins below zero, those of wrong answers."""
    axes.set_xlim(0, rows["rank"].max())
    axes.set_yscale("log")
    curves(axes, rows[rows["margin"] > 0], "rank", "margin", markevery=_every(rows))


def lw_and_bl(axes: Axes, rows: pd.DataFrame) -> None:
    """LW and the baseline alone."""
    axes.set_xlim(0, rows["rank"].max())
    two = rows[rows["method"].isin(["bl", "lw"])]
    curves(axes, two, "rank", "margin", markevery=_every(rows))


def _every(rows: pd.DataFrame) -> int:
    """How many points lie between two markers."""
    return max(1, int(rows["rank"].max()) // 6)
