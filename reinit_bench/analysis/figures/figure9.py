"""Figure 9, the full version of Figure 4: test accuracy by compute budget, every dataset."""

from __future__ import annotations

from matplotlib.figure import Figure

from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.figures import figure4
from reinit_bench.analysis.figures.grid import all_datasets
from reinit_bench.analysis.figures.style import styled


@styled
def draw(collection: Collection) -> Figure:
    """A row per dataset, a panel per architecture.

    Raises:
        NothingToDraw: no method was run at two budgets or more.
    """
    found = figure4.budgeted(collection, "figure9")
    data = figure4.accuracy_by_budget(found)
    heading, xlabel = figure4.HEADING, figure4.XLABEL
    return all_datasets(found, data, figure4.LABEL, figure4.cell, heading=heading, xlabel=xlabel, free=[figure4.BUDGET])
