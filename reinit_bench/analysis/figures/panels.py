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

APPENDIX_E: Mapping[str, Any] = {"trainer.momentum": 0.0, **paper.CONDITIONS[6].settings}
"""The settings of Appendix E, which are Appendix F's."""

BUDGET = "trainer.max_steps"
PANEL = ["dataset_shown", "model"]
"""The columns of the frame that tell panels apart."""

_NOTE_LINE = 110  # characters of a note on a line of the page's width


def one_setting(
    collection: Collection,
    runs: pd.DataFrame,
    *,
    free: Sequence[str] = (),
    wanted: Mapping[str, Any] = MAIN,
    usable: Callable[[pd.DataFrame], bool] = lambda runs: True,
) -> pd.DataFrame:
    """Of each dataset and architecture the runs of one setting, in the paper's order, others after.

    Args:
        runs: rows of the collection's frame.
        free: settings that may differ within a panel.
        wanted: settings that are preferred; then the paper's are, then the setting with the most runs.
        usable: whether runs of one setting can make a panel at all.
    """
    shared = [name for name in collection.shared_settings if name in runs and name not in free]
    varying = [name for name in shared if runs[name].nunique(dropna=False) > 1]
    number = runs.groupby([*PANEL, *varying], dropna=False).ngroup()
    unlike = [runs[name].notna() & (runs[name] != value) for name, value in wanted.items() if name in runs]
    known = runs.reindex(columns=[*PANEL, BUDGET]).assign(
        number=number, unwanted=sum(unlike, 0 * runs["order"]), off=distance_from_paper(runs, but=free)
    )
    settings = known.groupby("number").first()
    settings = settings.assign(fewer=-number.value_counts(), shorter=-settings[BUDGET].fillna(0).astype(float))
    nearest = settings.sort_values(["unwanted", "off", "fewer", "shorter"], kind="stable")
    nearest = nearest.loc[[one for one in nearest.index if usable(runs[number == one])]]
    return runs[number.isin(nearest.drop_duplicates(PANEL).index)].sort_values("order", kind="stable")


def measured_runs(collection: Collection, figure: str, what: str, needed: Sequence[str]) -> pd.DataFrame:
    """The runs of one setting whose diagnostics hold all names in `needed`; the error says if runs lack `what`."""
    runs = collection.default_images
    known = with_diagnostics(collection, runs, *needed)
    if known.empty:
        shown = " dataset=oxford_iiit_pet" if figure in OF_ONE_DATASET else ""
        unmeasured = f" ({len(runs)} finished without diagnostics)" if len(runs) else ""
        raise NothingToDraw(
            f"{figure}: no finished run in {collection.path} has its {what} measured{unmeasured}; "
            f"reinit-bench -m study=table2{shown}, or study=digits"
        )
    return one_setting(collection, known)


def of_one_dataset(runs: pd.DataFrame, shown: str = SHOWN) -> pd.DataFrame:
    """The runs of the dataset that the paper shows; where it has none, of the dataset with the most runs."""
    counts = runs.groupby("dataset_shown", sort=False).size()
    return runs[runs["dataset_shown"] == (shown if shown in counts else counts.idxmax())] if len(runs) else runs


def averages(
    runs: pd.DataFrame,
    points_of: Callable[[str], pd.DataFrame],
    by: Sequence[str],
    how: Literal["mean", "median"] = "mean",
) -> pd.DataFrame:
    """A row for each dataset, model, method and value of `by`: n runs, and the mean or median of their points.

    Args:
        points_of: from a run's id to its points, a row for each value of `by`; empty where it has none.
    """
    keys = ["dataset", "model", "method", "method_label"]
    names = runs[["run_id", *PANEL, *keys[2:]]].itertuples(index=False, name=None)
    points = {name: found for name in names if not (found := points_of(name[0])).empty}
    if not points:
        return pd.DataFrame(columns=[*keys, *by, "n"])
    groups = pd.concat(points, names=["run_id", *keys]).groupby([*keys, *by], sort=False)
    return groups.agg(how).assign(n=groups.size()).reset_index()


Cell = Callable[[Axes, pd.DataFrame], object]
"""Draws the rows of averages that belong to one dataset and architecture."""


@dataclass(frozen=True, kw_only=True)
class PanelGrid:
    """A figure with a column of panels for each architecture.

    Attributes:
        runs: which runs of a collection it shows; the second argument is the figure's name. Raises NothingToDraw.
        data: from these to a frame with columns `dataset`, `model`, `method` and whatever the cells draw.
        rows: what is drawn from top to bottom, by the labels of the y axes.
        heading: begins the title.
        xlabel: under all panels.
        free: settings that the panels vary, which need no remark.
        shown: the dataset that the paper shows, or tells of; empty where it has no such figure.
    """

    runs: Callable[[Collection, str], pd.DataFrame]
    data: Callable[[Collection, pd.DataFrame], pd.DataFrame]
    rows: Mapping[str, Cell]
    heading: str
    xlabel: str
    free: Sequence[str] = ()
    shown: str = SHOWN

    def one_dataset(self, collection: Collection, name: str) -> Figure:
        """Its rows for one dataset; the title says so where that is not the one that the paper shows."""
        runs = of_one_dataset(self.runs(collection, name), self.shown)
        data, dataset = self.data(collection, runs), str(runs["dataset_shown"].iloc[0])
        rows = [(label, cell, data) for label, cell in self.rows.items()]
        instead = "" if dataset == self.shown or not self.shown else f" (the paper shows {self.shown})"
        return self._figure(rows, runs, f"{self.heading}: {short(dataset)}{instead}", row_height=1.9)

    def every_dataset(self, collection: Collection, name: str, label: str, cell: Cell | None = None) -> Figure:
        """A row of panels for each dataset, all of them drawn by the row with this label, or by `cell`."""
        runs = self.runs(collection, name)
        data, cell = self.data(collection, runs), cell or self.rows[label]
        datasets = dict.fromkeys(runs["dataset_shown"])
        rows = [(f"{short(dataset)}\n{label}", cell, data[data["dataset"] == dataset]) for dataset in datasets]
        return self._figure(rows, runs, f"{self.heading}, every dataset", row_height=1.05)

    def _figure(
        self, rows: Sequence[tuple[str, Cell, pd.DataFrame]], runs: pd.DataFrame, title: str, row_height: float
    ) -> Figure:
        runs = runs.drop(columns=list(self.free))
        columns = paper.ordered_models(model for _, _, data in rows for model in data["model"])
        labels = set().union(*(data["method_label"] for _, _, data in rows))
        height = row_height * (1.5 if len(labels) > MANY else 1) * len(rows) + 0.9 + legend_height(labels)
        figure = Figure(figsize=(TEXT_WIDTH, height), layout="constrained")
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
        head(figure, title, self.xlabel, runs, cells.flat)
        return figure


def draw_curves(axes: Axes, rows: pd.DataFrame, x: str, y: str, **looks: Any) -> None:
    """A curve for each method of `rows`."""
    for method in ordered_methods(rows["method"]):
        own = rows[rows["method"] == method].sort_values(x)
        axes.plot(own[x], own[y], **method_style(method, str(own["method_label"].iloc[0])).line(**looks))


def head(figure: Figure, title: str, xlabel: str, runs: pd.DataFrame, cells: Any) -> None:
    """One legend above all panels, under the title and the runs' condition; a note under what is on the x axis.

    The note says what a reader must know of the runs' settings, and makes the figure higher.
    """
    note = textwrap.wrap("; ".join(settings_unlike_paper(runs)), _NOTE_LINE)
    figure.set_figheight(figure.get_figheight() + 0.15 * len(note))
    figure.supxlabel("\n".join([xlabel, *note]), fontsize=8)
    # In one: two separate ones would be drawn into each other.
    heading = f"{title}\n{condition_title(runs)}"
    legend = add_legend(figure, legend_handles(cells), title=heading, title_fontproperties={"size": 9.5})
    legend.get_title().set_multialignment("center")
