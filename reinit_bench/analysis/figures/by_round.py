"""Test accuracy (top) and training accuracy (bottom) after each round, all methods, one dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.panels import APPENDIX_E, Cell, PanelGrid, averages, one_setting
from reinit_bench.analysis.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    VERMILION,
    MethodStyle,
    method_style,
)
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import NORMS
from reinit_bench.analysis.frame.labels import VARIANTS as PARTS
from reinit_bench.analysis.frame.measurements import rounds_of
from reinit_bench.analysis.frame.methods import ordered_methods
from reinit_bench.analysis.stats.ablation import ablation_runs

ACCURACIES = ["test_accuracy", "train_accuracy"]

_PART_STYLES: Mapping[str, MethodStyle] = {
    "bl": MethodStyle(PARTS["bl"], BLACK, (0, (4, 1.5)), "o"),
    "lw": MethodStyle(PARTS["lw"], ORANGE, "-", "*"),
    "lw reinitialize": MethodStyle(PARTS["lw reinitialize"], BLUE, (0, (7, 1.5)), "s"),
    "lw rescale": MethodStyle(PARTS["lw rescale"], GREEN, (0, (5, 1.5, 1, 1.5)), "^"),
    "lw normalize": MethodStyle(PARTS["lw normalize"], PURPLE, (0, (1, 1)), "D"),
    "lw freeze": MethodStyle(PARTS["lw freeze"], VERMILION, (0, (3, 1, 1, 1, 1, 1)), "v"),
}


def draw(collection: Collection) -> Figure:
    """A panel per architecture; a method of one round, as the baseline is, is a level line."""
    return GRID.one_dataset(collection, "by_round")


def parts(collection: Collection) -> Figure:
    """Appendix F by round: LW, LW without each of its parts and with freezing, and BL; test and training accuracy."""
    return PARTS_GRID.one_dataset(collection, "ablation")


VARIANTS = {"ablation": parts}


def runs_of_methods(collection: Collection, figure: str) -> pd.DataFrame:
    """The runs of the methods as they are, where some have several rounds."""
    found = one_setting(collection, collection.default_images, usable=partial(_has_rounds, collection))
    if found.empty:
        raise NothingToDraw(
            f"{figure}: no finished run of several rounds in {collection.path}; reinit-bench -m study=demo"
        )
    return found


def runs_of_parts(collection: Collection, figure: str) -> pd.DataFrame:
    """The runs of LW and its variants; `method` is the variant, `model` says the norm where it is not the paper's."""
    runs, _ = ablation_runs(collection)
    runs = runs[runs["method"].isin(list(PARTS)) & runs["norm"].isin(list(NORMS))]
    runs = runs.assign(method_label=runs["method"].map(PARTS), model=runs["model"] + runs["norm"].map(NORMS))
    found = one_setting(collection, runs.drop(columns="model.norm", errors="ignore"), wanted=APPENDIX_E)
    if not _has_rounds(collection, found):
        raise NothingToDraw(
            f"{figure}: no finished run of LW without one of its parts in {collection.path}; "
            "reinit-bench -m study=ablation_digits"
        )
    return found


def _has_rounds(collection: Collection, runs: pd.DataFrame) -> bool:
    """Whether some run has several rounds, and they are there to read."""
    return any(len(rounds_of(collection, run_id)) > 1 for run_id in runs["run_id"][runs["rounds"] > 1])


def accuracy_by_round(collection: Collection, runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each dataset, model, method and round: n seeds, their mean test and training accuracy in percent."""

    def points_of(run_id: str) -> pd.DataFrame:
        rounds = rounds_of(collection, run_id)
        return rounds if rounds.empty else rounds[["index", *ACCURACIES]].rename(columns={"index": "round"})

    data = averages(runs, points_of, ["round"])
    data[ACCURACIES] *= 100
    return data


def _cell(axes: Axes, rows: pd.DataFrame, column: str, styles: Mapping[str, MethodStyle]) -> None:
    last = int(rows["round"].max())
    for method in [name for name in styles or ordered_methods(rows["method"]) if name in set(rows["method"])]:
        own = rows[rows["method"] == method].sort_values("round")
        style = styles.get(method) or method_style(method, str(own["method_label"].iloc[0]))
        if len(own) == 1:  # it ends where the others' last round does
            axes.plot([1, last], [float(own[column].iloc[0])] * 2, **style.line(marker=""))
        else:
            axes.plot(own["round"], own[column], **style.line(markevery=max(1, last // 8)))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _rows(styles: Mapping[str, MethodStyle]) -> Mapping[str, Cell]:
    return {
        "test accuracy [%]": partial(_cell, column="test_accuracy", styles=styles),
        "training accuracy [%]": partial(_cell, column="train_accuracy", styles=styles),
    }


GRID = PanelGrid(
    runs=runs_of_methods,
    data=accuracy_by_round,
    rows=_rows({}),
    heading="Accuracy by round",
    xlabel="round; a method of one round is a level line",
    shown="",
)
PARTS_GRID = replace(
    GRID,
    runs=runs_of_parts,
    rows=_rows(_PART_STYLES),
    heading="LW without each of its parts, by round",
    shown="CIFAR100",
)
