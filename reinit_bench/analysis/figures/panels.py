"""Which runs stand together in a figure, and the grid of panels that most figures are.

A panel is a dataset and an architecture; its runs differ in method and seed. A store may hold one architecture under
many settings (augmentation, learning rates, widths); a panel shows one of them, the nearest to what the paper shows,
and the figure says which.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.style import (
    MANY,
    TEXT_WIDTH,
    add_legend,
    legend_handles,
    legend_height,
    method_style,
    say_no_runs,
    short,
    styled,
)
from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import condition_title
from reinit_bench.analysis.frame.measurements import with_diagnostics
from reinit_bench.analysis.frame.methods import ordered_methods
from reinit_bench.analysis.frame.notes import settings_unlike_paper
from reinit_bench.analysis.frame.settings import distance_from_paper

SHOWN = "OXFORD-IIIT"
"""The dataset of the figures in the paper's main text."""

OF_ONE_DATASET = ("figure5", "figure6")
"""The figures that show finished networks of one dataset; those of every dataset need all of Table 2's runs."""

MAIN = paper.CONDITIONS[2].settings
"""Table 2's condition, preferred where the paper does not say what a figure shows."""

BUDGET = "trainer.max_steps"

_NOTE_LINE = 110  # characters of a note on a line of the page's width


@dataclass(frozen=True)
class Panel:
    """The runs of one dataset and architecture that differ in nothing but method and seed.

    Attributes:
        dataset: its label, with the number of training examples where that was cut: `DIGITS (200)`.
        model: its name.
        runs: rows of a collection's frame.
    """

    dataset: str
    model: str
    runs: pd.DataFrame


def panels(
    collection: Collection,
    runs: pd.DataFrame,
    *,
    free: Sequence[str] = (),
    wanted: Mapping[str, Any] = MAIN,
    usable: Callable[[pd.DataFrame], bool] = lambda runs: True,
) -> list[Panel]:
    """One panel per dataset and architecture, in the paper's order, others after.

    Args:
        runs: rows of the collection's frame.
        free: settings that may differ within a panel.
        wanted: settings that are preferred; then the paper's are, then the setting with the most runs.
        usable: whether runs of one setting can make a panel at all.
    """
    settings = [name for name in collection.shared_settings if name in runs and name not in free]
    varying = [name for name in settings if runs[name].nunique(dropna=False) > 1]
    numbers = runs.groupby(["dataset_shown", "model", *varying], dropna=False).ngroup()
    known = runs.reindex(columns=["dataset_shown", "model", BUDGET])
    known = known.assign(number=numbers, unwanted=_different(runs, wanted), off=distance_from_paper(runs, but=free))
    groups = known.groupby("number").first()
    groups = groups.assign(fewer=-numbers.value_counts(), shorter=-groups[BUDGET].fillna(0).astype(float))
    found: dict[tuple[str, str], Panel] = {}
    for number, group in groups.sort_values(["unwanted", "off", "fewer", "shorter"], kind="stable").iterrows():
        place = str(group["dataset_shown"]), str(group["model"])
        if place not in found:
            own = runs[numbers == number]
            if usable(own):
                found[place] = Panel(*place, own)
    return sorted(found.values(), key=_order)


def _different(runs: pd.DataFrame, wanted: Mapping[str, Any]) -> pd.Series:
    """In how many of these settings each run is different; one that has no such setting is not."""
    return sum(
        (runs[name].notna() & (runs[name] != wanted[name]) for name in wanted if name in runs), 0 * runs["order"]
    )


def _order(panel: Panel) -> int:
    return int(panel.runs["order"].iloc[0])


def measured_panels(collection: Collection, figure: str, what: str, needed: Sequence[str]) -> list[Panel]:
    """The panels of runs whose diagnostics hold all names in `needed`.

    Raises:
        NothingToDraw: there is none; the line says whether finished runs were left without `what`.
    """
    runs = collection.default_images
    known = with_diagnostics(collection, runs, *needed)
    if known.empty:
        shown = " dataset=oxford_iiit_pet" if figure in OF_ONE_DATASET else ""
        unmeasured = f" ({len(runs)} finished without diagnostics)" if len(runs) else ""
        raise NothingToDraw(
            f"{figure}: no finished run in {collection.path} has its {what} measured{unmeasured}; "
            f"reinit-bench -m study=table2{shown}, or study=digits"
        )
    return panels(collection, known)


def of_one_dataset(found: Sequence[Panel], shown: str = SHOWN) -> list[Panel]:
    """The panels of the dataset that the paper shows; where it has none, of the dataset with the most runs."""
    counts = {panel.dataset: 0 for panel in found}
    for panel in found:
        counts[panel.dataset] += len(panel.runs)
    chosen = shown if shown in counts else max(counts, key=lambda name: counts[name], default=None)
    return [panel for panel in found if panel.dataset == chosen]


def together(found: Sequence[Panel]) -> pd.DataFrame:
    """All runs of these panels."""
    return pd.concat([panel.runs for panel in found])


def averages(
    found: Sequence[Panel],
    points_of: Callable[[str], pd.DataFrame],
    by: Sequence[str],
    how: Literal["mean", "median"] = "mean",
) -> pd.DataFrame:
    """A row for each dataset, model, method and value of `by`: n runs, and the mean or median of their points.

    Args:
        points_of: from a run's id to its points, a row for each value of `by`; empty where it has none.
    """
    parts = []
    for panel in found:
        for run_id, method, label in zip(
            *(panel.runs[name] for name in ("run_id", "method", "method_label")), strict=True
        ):
            names = {"dataset": panel.dataset, "model": panel.model, "method": method, "method_label": label}
            points = points_of(run_id)
            parts += [] if points.empty else [points.assign(**names)]
    keys = ["dataset", "model", "method", "method_label", *by]
    if not parts:
        return pd.DataFrame(columns=[*keys, "n"])
    groups = pd.concat(parts).groupby(keys, sort=False)
    return groups.agg(how).assign(n=groups.size()).reset_index()


Cell = Callable[[Axes, pd.DataFrame], object]
"""Draws the rows of averages that belong to one dataset and architecture."""


@dataclass(frozen=True, kw_only=True)
class PanelGrid:
    """A figure with a column of panels for each architecture.

    Attributes:
        panels: the panels of a collection; the second argument is the figure's name. Raises NothingToDraw.
        data: from panels to a frame with columns `dataset`, `model`, `method` and whatever the cells draw.
        rows: what is drawn from top to bottom, by the labels of the y axes.
        heading: begins the title.
        xlabel: under all panels.
        free: settings that the panels vary, which need no remark.
        shown: the dataset that the paper shows, or tells of; empty where it has no such figure.
    """

    panels: Callable[[Collection, str], list[Panel]]
    data: Callable[[Collection, Sequence[Panel]], pd.DataFrame]
    rows: Mapping[str, Cell]
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
        rows = [(label, cell, data) for label, cell in self.rows.items()]
        heading = f"{self.heading}: {short(dataset)}{instead_of(self.shown, dataset)}"
        return self._figure(rows, found, heading, row_height=1.9)

    @styled
    def every_dataset(self, collection: Collection, name: str, label: str, cell: Cell | None = None) -> Figure:
        """A row of panels for each dataset, all of them drawn by the row with this label, or by `cell`.

        Raises:
            NothingToDraw: from `panels`.
        """
        found = self.panels(collection, name)
        data, cell = self.data(collection, found), cell or self.rows[label]
        datasets = dict.fromkeys(panel.dataset for panel in found)
        rows = [(f"{short(dataset)}\n{label}", cell, data[data["dataset"] == dataset]) for dataset in datasets]
        return self._figure(rows, found, f"{self.heading}, every dataset", row_height=1.05)

    def _figure(
        self, rows: Sequence[tuple[str, Cell, pd.DataFrame]], found: Sequence[Panel], title: str, row_height: float
    ) -> Figure:
        runs = together(found).drop(columns=list(self.free))
        columns = paper.ordered_models(model for _, _, data in rows for model in data["model"])
        note = footnote(runs)
        labels = set().union(*(data["method_label"] for _, _, data in rows))
        height = row_height * (1.5 if len(labels) > MANY else 1) * len(rows) + 0.9 + 0.15 * len(note.splitlines())
        figure = Figure(figsize=(TEXT_WIDTH, height + legend_height(labels)), layout="constrained")
        cells = figure.subplots(len(rows), len(columns), squeeze=False, sharex="col")
        for (label, draw, data), line in zip(rows, cells, strict=True):
            line[0].set_ylabel(label)
            for model, axes in zip(columns, line, strict=True):
                own = data[data["model"] == model]
                say_no_runs(axes) if own.empty else draw(axes, own)
                if len(rows) > 2:
                    axes.minorticks_off()  # in small panels they are clutter, and half of the time that drawing takes
        for model, axes in zip(columns, cells[0], strict=True):
            axes.set_title(short(model))
        head(figure, f"{title}\n{condition_title(runs)}", self.xlabel, note, cells.flat)
        return figure


def draw_curves(axes: Axes, rows: pd.DataFrame, x: str, y: str, **looks: Any) -> None:
    """A curve for each method of `rows`."""
    for method in ordered_methods(rows["method"]):
        own = rows[rows["method"] == method].sort_values(x)
        axes.plot(own[x], own[y], **method_style(method, str(own["method_label"].iloc[0])).line(**looks))


def instead_of(shown: str, dataset: str) -> str:
    """What a title says where another dataset is drawn than the paper's."""
    return "" if dataset == shown or not shown else f" (the paper shows {shown})"


def footnote(runs: pd.DataFrame) -> str:
    """What a reader must know of these runs' settings, in lines; empty where they are the paper's."""
    return textwrap.fill("; ".join(settings_unlike_paper(runs)), _NOTE_LINE)


def head(figure: Figure, heading: str, xlabel: str, note: str, cells: Any) -> None:
    """One legend above all panels, under the figure's heading, and the note under what is on the x axis."""
    figure.supxlabel("\n".join(filter(None, [xlabel, note])), fontsize=8)
    # In one: two separate ones would be drawn into each other.
    legend = add_legend(figure, legend_handles(cells), title=heading, title_fontproperties={"size": 9.5})
    legend.get_title().set_multialignment("center")
