"""Figure 12, the full version of Figure 5: change in training accuracy under Gaussian noise, every dataset."""

from __future__ import annotations

from matplotlib.figure import Figure

from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.figures import figure5
from reinit_bench.analysis.figures.grid import all_datasets
from reinit_bench.analysis.figures.style import styled


@styled
def draw(collection: Collection) -> Figure:
    """A row per dataset, a panel per architecture: training accuracy lost by sigma.

    Raises:
        NothingToDraw: no finished run has its sharpness measured.
    """
    found = figure5.measured(collection, "figure12")
    data = figure5.sharpness(collection, found)
    heading, xlabel = figure5.HEADING, figure5.XLABEL
    return all_datasets(found, data, "points lost", figure5.accuracy_cell, heading=heading, xlabel=xlabel)
