"""Figure 10, the full version of Figure 6's top: the smallest margins, all methods, every dataset."""

from __future__ import annotations

from matplotlib.figure import Figure

from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.figures import figure6
from reinit_bench.analysis.figures.grid import all_datasets
from reinit_bench.analysis.figures.style import styled


@styled
def draw(collection: Collection) -> Figure:
    """A row per dataset, a panel per architecture.

    Raises:
        NothingToDraw: no finished run has its margins measured.
    """
    found = figure6.measured(collection, "figure10")
    data = figure6.margins(collection, found)
    heading, xlabel = figure6.HEADING, figure6.XLABEL
    return all_datasets(found, data, figure6.TOP, figure6.every_method, heading=heading, xlabel=xlabel)
