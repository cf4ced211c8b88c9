"""Figure 4: test accuracy by compute budget, one dataset."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.panels import BUDGET, PanelGrid, draw_curves, one_setting
from reinit_bench.analysis.frame.collect import Collection

ACCURACY = "accuracy [%]"


def draw(collection: Collection) -> Figure:
    """A panel per architecture: mean test accuracy over seeds against the steps that a round may take."""
    return GRID.one_dataset(collection, "figure4")


def every_dataset(collection: Collection) -> Figure:
    """Figure 9, the full version of Figure 4: test accuracy by compute budget, every dataset."""
    return GRID.every_dataset(collection, "figure9", ACCURACY)


VARIANTS = {"figure9": every_dataset}


def budgeted(collection: Collection, figure: str) -> pd.DataFrame:
    """The runs of panels in which some method was run at several budgets."""
    found = one_setting(collection, collection.default_images, free=(BUDGET,), usable=_has_several)
    if found.empty:
        raise NothingToDraw(
            f"{figure}: no method with finished runs at two step budgets or more in {collection.path}; "
            f"reinit-bench -m study={figure}, or study=digits_budgets"
        )
    return found


def _has_several(runs: pd.DataFrame) -> bool:
    return bool((runs.groupby("method")[BUDGET].nunique() > 1).any())


def accuracy_by_budget(collection: Collection, runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each dataset, model, method and budget: n seeds, and their mean test accuracy in percent."""
    runs = runs.assign(dataset=runs["dataset_shown"])
    groups = runs.groupby(["dataset", "model", "method", "method_label", BUDGET], sort=False)["test_accuracy"]
    data = groups.agg(n="size", mean="mean").reset_index()
    return data.assign(mean=100 * data["mean"])


def _cell(axes: Axes, rows: pd.DataFrame) -> None:
    """Curves over a logarithmic axis that names the budgets (every other one, where there are many)."""
    axes.set_xscale("log")
    draw_curves(axes, rows, BUDGET, "mean")
    budgets = sorted(rows[BUDGET].unique())
    named = budgets[:: 1 + len(budgets) // 5]
    labels = [f"{budget:g}" if budget < 1000 else f"{budget / 1000:g}k" for budget in named]
    axes.set_xticks(named, labels=labels)
    axes.minorticks_off()


GRID = PanelGrid(
    runs=budgeted,
    data=accuracy_by_budget,
    rows={ACCURACY: _cell},
    heading="Test accuracy by step budget",
    xlabel="most training steps per round; the baseline has as many in all",
    free=[BUDGET],
)
