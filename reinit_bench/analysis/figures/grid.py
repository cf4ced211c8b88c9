"""The frame that most figures share: architectures from left to right, rows of curves, one legend, title and notes."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis.figures.style import GRAY, TEXT_WIDTH, method_style, ordered
from reinit_bench.analysis.panels import SHOWN, Panel, condition_words, footnote, together

Cell = Callable[[Axes, pd.DataFrame], object]
"""Draws the rows of a tidy table that belong to one dataset and architecture."""

_NOTE_LINE = 110  # characters of a note on a line of the page's width


def one_dataset(
    found: Sequence[Panel],
    data: pd.DataFrame,
    rows: Sequence[tuple[str, Cell]],
    *,
    heading: str,
    xlabel: str,
    free: Sequence[str] = (),
) -> Figure:
    """The panels of one dataset: architectures from left to right; each row has a label for its y axis and a cell.

    `data` is tidy, with columns `dataset`, `model` and whatever the cells draw. The title says so where the dataset is
    not the one that the paper shows. `free` are settings that the panels vary: there is nothing to remark about them.
    """
    dataset, runs = found[0].dataset, together(found).drop(columns=list(free))
    instead = "" if dataset == SHOWN else f" (the paper shows {SHOWN})"
    labelled = [(label, cell, data[data["dataset"] == dataset]) for label, cell in rows]
    return _grid(labelled, runs, xlabel=xlabel, title=f"{heading}: {dataset}{instead}", row_height=1.9)


def all_datasets(
    found: Sequence[Panel],
    data: pd.DataFrame,
    label: str,
    cell: Cell,
    *,
    heading: str,
    xlabel: str,
    free: Sequence[str] = (),
) -> Figure:
    """A row per dataset, a panel per architecture; otherwise as `one_dataset`."""
    datasets = list(dict.fromkeys(panel.dataset for panel in found))
    rows = [(f"{dataset}\n{label}", cell, data[data["dataset"] == dataset]) for dataset in datasets]
    runs = together(found).drop(columns=list(free))
    return _grid(rows, runs, xlabel=xlabel, title=f"{heading}, every dataset", row_height=1.05)


def curves(axes: Axes, rows: pd.DataFrame, x: str, y: str, **looks: Any) -> None:
    """A curve for each method of `rows`."""
    for method in ordered(rows["method"]):
        own = rows[rows["method"] == method].sort_values(x)
        axes.plot(own[x], own[y], **method_style(method, str(own["method_label"].iloc[0])).line(**looks))


def _grid(
    rows: Sequence[tuple[str, Cell, pd.DataFrame]], runs: pd.DataFrame, *, xlabel: str, title: str, row_height: float
) -> Figure:
    columns = list(dict.fromkeys(model for _, _, data in rows for model in data["model"]))
    note = textwrap.fill(footnote(runs), _NOTE_LINE)
    height = row_height * len(rows) + 0.9 + 0.15 * len(note.splitlines())
    figure = Figure(figsize=(TEXT_WIDTH, height), layout="constrained")
    cells = figure.subplots(len(rows), len(columns), squeeze=False, sharex="col")
    handles: dict[str, Any] = {}
    for (label, draw, data), line in zip(rows, cells, strict=True):
        line[0].set_ylabel(label)
        for model, axes in zip(columns, line, strict=True):
            own = data[data["model"] == model]
            if own.empty:
                _empty(axes)
                continue
            draw(axes, own)
            if len(rows) > 2:
                axes.minorticks_off()  # in small panels they are clutter, and half of the time that drawing takes
            drawn, names = axes.get_legend_handles_labels()
            handles.update({str(name): handle for handle, name in zip(drawn, names, strict=True)})
    for model, axes in zip(columns, cells[0], strict=True):
        axes.set_title(model)
    figure.supxlabel("\n".join(filter(None, [xlabel, note])), fontsize=8)
    headed_legend(figure, handles, f"{title}\n{condition_words(runs)}")
    return figure


def headed_legend(figure: Figure, handles: Mapping[str, Any], heading: str) -> None:
    """One legend above all panels, under the figure's heading: two separate ones would be drawn into each other."""
    legend = figure.legend(
        handles.values(),
        handles,
        title=heading,
        title_fontproperties={"size": 9.5},
        loc="outside upper center",
        ncols=len(handles),
        handlelength=3.2,
    )
    legend.get_title().set_multialignment("center")


def _empty(axes: Axes) -> None:
    axes.text(0.5, 0.5, "no runs", ha="center", va="center", color=GRAY, transform=axes.transAxes)
    axes.tick_params(left=False, labelleft=False)  # the x axis is that of the panels above and below
