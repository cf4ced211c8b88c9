"""Figure 2: test accuracy of LW (y) against the baseline (x), a point for each choice of hyperparameters."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.style import BLUE, GRAY, ORANGE, TEXT_WIDTH, short
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.stats.scores import scores_by_setting

DATASETS = ("CIFAR10", "CIFAR100")
MODELS = ("vgg16", "mobilenet")
"""The paper's panels: datasets from top to bottom, architectures from left to right."""

_MOST_ROWS = 6

_LOOKS = ((True, ORANGE, "o", "with augmentation"), (False, BLUE, "s", "without augmentation"))


def draw(collection: Collection) -> Figure:
    """The paper's four panels, or where CIFAR has no runs those of the datasets and architectures that have."""
    frame = scores_by_setting(collection, every_setting=True).frame
    both = frame.dropna(subset=["bl", "lw"]) if {"bl", "lw"} <= set(frame) else frame.iloc[:0]
    if both.empty:
        raise NothingToDraw(
            f"figure2: no setting in {collection.path} in which both BL and LW finished; reinit-bench -m study=figure2"
        )
    paper = both[both["dataset"].isin(DATASETS) & both["model"].isin(MODELS)]
    datasets, models = _panels(both) if paper.empty else (list(DATASETS), list(MODELS))
    figure = _grid(both, datasets, models)
    looks: dict[str, Any] = {"markersize": 4, "linestyle": "none"}
    handles = [Line2D([], [], color=color, marker=mark, label=label, **looks) for _, color, mark, label in _LOOKS]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    if paper.empty:
        words = "no runs of CIFAR10 or CIFAR100 with vgg16 or mobilenet (reinit-bench -m study=figure2): what there is"
        figure.supxlabel(words, fontsize=7.5)
    return figure


def _grid(both: pd.DataFrame, datasets: list[str], models: list[str]) -> Figure:
    """A row of panels for each dataset, a column for each architecture."""
    size = TEXT_WIDTH / max(len(models), 3)
    figure = Figure(figsize=(TEXT_WIDTH, size * len(datasets) + 0.6), layout="constrained")
    grid = figure.subplots(len(datasets), len(models), squeeze=False)
    for row, dataset in zip(grid, datasets, strict=True):
        for axes, model in zip(row, models, strict=True):
            _panel(axes, both[(both["dataset"] == dataset) & (both["model"] == model)])
            axes.set_title(f"{short(dataset)}, {short(model)}", fontsize=8)
        row[0].set_ylabel("LW [%]")
    for axes in grid[-1]:
        axes.set_xlabel("BL [%]")
    return figure


def _panels(both: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The datasets with the most points, and the architectures, in the order of the frame."""
    counts = both["dataset"].value_counts()
    chosen = set(counts.index[:_MOST_ROWS])
    datasets = [name for name in dict.fromkeys(both["dataset"]) if name in chosen]
    return datasets, list(dict.fromkeys(both[both["dataset"].isin(chosen)]["model"]))


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    if rows.empty:
        axes.text(0.5, 0.5, "no runs", ha="center", va="center", color=GRAY, transform=axes.transAxes)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    low = min(rows["bl"].min(), rows["lw"].min())
    high = max(rows["bl"].max(), rows["lw"].max())
    margin = max(0.06 * (high - low), 0.5)
    limits = low - margin, high + margin
    axes.plot(limits, limits, color=GRAY, linewidth=0.8, zorder=1)
    for augmented, color, marker, _ in _LOOKS:
        part = rows[(rows["augmentation"] != "none") == augmented]
        axes.scatter(part["bl"], part["lw"], s=14, color=color, marker=marker, alpha=0.8, linewidths=0)
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    above, count = int((rows["lw"] > rows["bl"]).sum()), len(rows)
    axes.text(0.97, 0.04, f"LW better in {above} of {count}", ha="right", fontsize=7, transform=axes.transAxes)
