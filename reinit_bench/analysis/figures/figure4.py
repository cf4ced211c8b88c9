"""Figure 4: test accuracy by compute budget, one dataset."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.panel_grid import PanelGrid, draw_curves
from reinit_bench.analysis.figures.panels import BUDGET, Panel, panels
from reinit_bench.analysis.frame.collect import Collection


def draw(collection: Collection) -> Figure:
    """A panel per architecture: mean test accuracy over seeds against the steps that a round may take.

    Raises:
        NothingToDraw: no method was run at two budgets or more.
    """
    return GRID.one_dataset(collection, "figure4")


def every_dataset(collection: Collection) -> Figure:
    """Figure 9, the full version of Figure 4: test accuracy by compute budget, every dataset."""
    return GRID.every_dataset(collection, "figure9", GRID.rows[0])


VARIANTS = {"figure9": every_dataset}


def budgeted(collection: Collection, figure: str) -> list[Panel]:
    """The panels in which some method was run at several budgets.

    Raises:
        NothingToDraw: there is none.
    """
    several = _budgeted(collection)
    if not several:
        raise NothingToDraw(
            f"{figure}: no method with finished runs at two step budgets or more in {collection.path}; "
            f"reinit-bench -m study={figure}, or study=digits_budgets"
        )
    return several


@lru_cache(maxsize=4)  # two figures show them
def _budgeted(collection: Collection) -> list[Panel]:
    runs = collection.default_images
    return panels(collection, runs, free=(BUDGET,), usable=_has_several, asks=("method", BUDGET))


def accuracy_by_budget(collection: Collection, found: Sequence[Panel]) -> pd.DataFrame:
    """A row for each dataset, model, method and budget: n seeds, mean and standard deviation in percent."""
    runs = pd.concat([panel.runs.assign(dataset=panel.dataset, model=panel.model) for panel in found])
    keys = ["dataset", "model", "method", "method_label", BUDGET]
    data = runs.groupby(keys, sort=False)["test_accuracy"].agg(["size", "mean", "std"]).reset_index()
    data[["mean", "std"]] *= 100
    return data.rename(columns={"size": "n"})


def _cell(axes: Axes, rows: pd.DataFrame) -> None:
    """Curves over a logarithmic axis that names the budgets (every other one, where there are many)."""
    axes.set_xscale("log")
    draw_curves(axes, rows, BUDGET, "mean")
    budgets = sorted(rows[BUDGET].unique())
    named = budgets[:: 1 + len(budgets) // 5]
    axes.set_xticks(named, labels=[_short(budget) for budget in named])
    axes.minorticks_off()


def _short(budget: float) -> str:
    """200, 1k, 2.5k, 100k."""
    return f"{budget:g}" if budget < 1000 else f"{budget / 1000:g}k"


def _has_several(runs: pd.DataFrame) -> bool:
    pairs = {(method, budget) for method, budget in zip(runs["method"], runs[BUDGET], strict=True) if budget == budget}
    return len(pairs) > len({method for method, _ in pairs})


GRID = PanelGrid(
    panels=budgeted,
    data=accuracy_by_budget,
    rows=[("accuracy [%]", _cell)],
    heading="Test accuracy by step budget",
    xlabel="most training steps per round; the baseline has as many in all",
    free=[BUDGET],
)
