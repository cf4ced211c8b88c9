"""The frame that most figures share: architectures from left to right, rows of curves, one legend, title and notes."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis.figures.panels import SHOWN, Panel, of_one_dataset, together
from reinit_bench.analysis.figures.style import GRAY, MANY, TEXT_WIDTH, add_legend, legend_height, method_style, styled
from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import condition_title
from reinit_bench.analysis.frame.methods import ordered_methods
from reinit_bench.analysis.frame.notes import settings_unlike_paper

LabelledCell = tuple[str, Callable[[Axes, pd.DataFrame], object]]
"""The label of a row's y axis, and what draws the rows of a tidy table that belong to one dataset and architecture."""

_NOTE_LINE = 110  # characters of a note on a line of the page's width


@dataclass(frozen=True, kw_only=True)
class PanelGrid:
    """A figure with a column of panels for each architecture.

    Attributes:
        panels: the panels of a collection; the second argument is the figure's name. Raises NothingToDraw.
        data: from panels to a tidy table with columns `dataset`, `model` and whatever the cells draw.
        rows: what is drawn, from top to bottom.
        heading: begins the title.
        xlabel: under all panels.
        free: settings that the panels vary, which need no remark.
        shown: the dataset that the paper shows, or tells of; empty where it has no such figure.
    """

    panels: Callable[[Collection, str], list[Panel]]
    data: Callable[[Collection, Sequence[Panel]], pd.DataFrame]
    rows: Sequence[LabelledCell]
    heading: str
    xlabel: str
    free: Sequence[str] = ()
    shown: str = SHOWN

    @styled
    def one_dataset(self, collection: Collection, name: str) -> Figure:
        """Its rows for one dataset; the title says so where that is not the one that the paper shows.

        Raises:
            NothingToDraw: from `panels`.
        """
        found = of_one_dataset(self.panels(collection, name), self.shown)
        data, dataset = self.data(collection, found), found[0].dataset
        instead = "" if dataset == self.shown or not self.shown else f" (the paper shows {self.shown})"
        rows = [(row, data) for row in self.rows]
        return self._figure(rows, found, f"{self.heading}: {dataset}{instead}", row_height=1.9)

    @styled
    def every_dataset(self, collection: Collection, name: str, row: LabelledCell) -> Figure:
        """A row of panels for each dataset, all of them like `row`.

        Raises:
            NothingToDraw: from `panels`.
        """
        found = self.panels(collection, name)
        data, (label, draw) = self.data(collection, found), row
        datasets = dict.fromkeys(panel.dataset for panel in found)
        rows = [((f"{dataset}\n{label}", draw), data[data["dataset"] == dataset]) for dataset in datasets]
        return self._figure(rows, found, f"{self.heading}, every dataset", row_height=1.05)

    def _figure(
        self, rows: Sequence[tuple[LabelledCell, pd.DataFrame]], found: Sequence[Panel], title: str, row_height: float
    ) -> Figure:
        runs = together(found).drop(columns=list(self.free))
        columns = paper.ordered_models(model for _, data in rows for model in data["model"])
        note = footnote(runs)
        labels = set().union(*(data["method_label"] for _, data in rows))
        height = row_height * (1.5 if len(labels) > MANY else 1) * len(rows) + 0.9 + 0.15 * len(note.splitlines())
        figure = Figure(figsize=(TEXT_WIDTH, height + legend_height(labels)), layout="constrained")
        cells = figure.subplots(len(rows), len(columns), squeeze=False, sharex="col")
        for ((label, draw), data), line in zip(rows, cells, strict=True):
            line[0].set_ylabel(label)
            for model, axes in zip(columns, line, strict=True):
                _fill(axes, data[data["model"] == model], draw)
                if len(rows) > 2:
                    axes.minorticks_off()  # in small panels they are clutter, and half of the time that drawing takes
        for model, axes in zip(columns, cells[0], strict=True):
            axes.set_title(model)
        figure.supxlabel("\n".join(filter(None, [self.xlabel, note])), fontsize=8)
        headed_legend(figure, legend_handles(cells.flat), f"{title}\n{condition_title(runs)}")
        return figure


def draw_curves(axes: Axes, rows: pd.DataFrame, x: str, y: str, **looks: Any) -> None:
    """A curve for each method of `rows`."""
    for method in ordered_methods(rows["method"]):
        own = rows[rows["method"] == method].sort_values(x)
        axes.plot(own[x], own[y], **method_style(method, str(own["method_label"].iloc[0])).line(**looks))


def footnote(runs: pd.DataFrame) -> str:
    """What a reader must know of these runs' settings, in lines; empty where they are the paper's."""
    return textwrap.fill("; ".join(settings_unlike_paper(runs)), _NOTE_LINE)


def legend_handles(cells: Iterable[Axes]) -> dict[str, Any]:
    """What the panels' legends would show, each name once."""
    handles: dict[str, Any] = {}
    for axes in cells:
        drawn, names = axes.get_legend_handles_labels()
        handles.update(zip(map(str, names), drawn, strict=True))
    return handles


def headed_legend(figure: Figure, handles: Mapping[str, Any], heading: str) -> None:
    """One legend above all panels, under the figure's heading: two separate ones would be drawn into each other."""
    legend = add_legend(figure, handles, title=heading, title_fontproperties={"size": 9.5})
    legend.get_title().set_multialignment("center")


def _fill(axes: Axes, rows: pd.DataFrame, draw: Callable[[Axes, pd.DataFrame], object]) -> None:
    if not rows.empty:
        draw(axes, rows)
        return
    axes.text(0.5, 0.5, "no runs", ha="center", va="center", color=GRAY, transform=axes.transAxes)
    axes.tick_params(left=False, labelleft=False)  # the x axis is that of the panels above and below
