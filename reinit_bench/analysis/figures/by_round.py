"""Test accuracy (top) and training accuracy (bottom) after each round, all methods, one dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.panel_grid import PanelGrid
from reinit_bench.analysis.figures.panels import Panel, panels
from reinit_bench.analysis.figures.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, VERMILION, method_style
from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import NORMS
from reinit_bench.analysis.frame.labels import VARIANTS as PARTS
from reinit_bench.analysis.frame.measurements import rounds_of
from reinit_bench.analysis.frame.methods import ordered_methods
from reinit_bench.analysis.frame.settings import SWITCHES
from reinit_bench.analysis.stats.ablation import ablation_runs

ACCURACIES = ("test_accuracy", "train_accuracy")

WANTED = {"trainer.momentum": 0.0, **paper.CONDITIONS[6].settings}
"""Appendix F's settings, which are Appendix E's."""

_PART_LOOKS: Mapping[str, Mapping[str, Any]] = {
    "bl": {"color": BLACK, "linestyle": (0, (4, 1.5)), "marker": "o"},
    "lw": {"color": ORANGE, "linestyle": "-", "marker": "*", "markersize": 7.5},
    "lw reinitialize": {"color": BLUE, "linestyle": (0, (7, 1.5)), "marker": "s"},
    "lw rescale": {"color": GREEN, "linestyle": (0, (5, 1.5, 1, 1.5)), "marker": "^"},
    "lw normalize": {"color": PURPLE, "linestyle": (0, (1, 1)), "marker": "D"},
    "lw freeze": {"color": VERMILION, "linestyle": (0, (3, 1, 1, 1, 1, 1)), "marker": "v"},
}


def draw(collection: Collection) -> Figure:
    """A panel per architecture; a method of one round, as the baseline is, is a level line.

    Raises:
        NothingToDraw: no finished run of several rounds has its rounds.
    """
    return GRID.one_dataset(collection, "by_round")


def parts(collection: Collection) -> Figure:
    """Appendix F by round: LW, LW without each of its parts and with freezing, and BL; test and training accuracy.

    Raises:
        NothingToDraw: no finished run of a variant of LW has its rounds.
    """
    return PARTS_GRID.one_dataset(collection, "ablation")


VARIANTS = {"ablation": parts}


def method_panels(collection: Collection, figure: str) -> list[Panel]:
    """The panels of the methods as they are.

    Raises:
        NothingToDraw: there is none with several rounds.
    """
    runs = collection.default_images
    found = panels(collection, runs, usable=partial(_has_rounds, collection), asks=("run_id", "rounds"))
    if not found:
        raise NothingToDraw(
            f"{figure}: no finished run of several rounds in {collection.path}; reinit-bench -m study=demo"
        )
    return found


def part_panels(collection: Collection, figure: str) -> list[Panel]:
    """A panel for each dataset, architecture and norm that LW and its variants were trained with.

    Of their runs, `method` is the variant; `model` says the norm where it is not the paper's.

    Raises:
        NothingToDraw: there is none.
    """
    runs, _ = ablation_runs(collection)
    runs = runs[runs["method"].isin(list(PARTS))]
    labels = runs["method"].map(PARTS)
    runs = runs.assign(method_label=labels).drop(columns=[name for name in SWITCHES if name in runs])
    found = []
    for norm, suffix in NORMS.items():
        own = runs[runs["norm"] == norm].drop(columns="model.norm", errors="ignore")
        for panel in panels(replace(collection, settings=_left(collection, own)), own, wanted=WANTED):
            found.append(replace(panel, model=panel.model + suffix))
    if not any(_has_rounds(collection, panel.runs) for panel in found):
        raise NothingToDraw(
            f"{figure}: no finished run of LW without one of its parts in {collection.path}; "
            "reinit-bench -m study=ablation_digits"
        )
    return sorted(found, key=_place)


def accuracy_by_round(collection: Collection, found: Sequence[Panel]) -> pd.DataFrame:
    """A row for each dataset, model, method and round: n seeds, their mean test and training accuracy in percent."""
    rows = []
    for panel in found:
        for run in panel.runs.itertuples():
            rounds = rounds_of(collection, str(run.run_id))
            if not rounds.empty:
                names = {"dataset": panel.dataset, "model": panel.model}
                own = rounds[["index", *ACCURACIES]].rename(columns={"index": "round"})
                rows.append(own.assign(**names, method=str(run.method), method_label=str(run.method_label)))
    groups = pd.concat(rows).groupby(["dataset", "model", "method", "method_label", "round"], sort=False)
    data = groups.agg(n=(ACCURACIES[0], "size"), **{name: (name, "mean") for name in ACCURACIES}).reset_index()
    data[list(ACCURACIES)] *= 100
    return data


def _left(collection: Collection, runs: pd.DataFrame) -> tuple[str, ...]:
    return tuple(name for name in collection.settings if name in runs)


def _place(panel: Panel) -> tuple[int | str, ...]:
    """By the paper's order; the architecture with its own norm stands before those without."""
    model = panel.model.split(" ")[0]
    return *paper.order_key(panel.dataset, paper.DATASETS), *paper.order_key(model, paper.MODELS), len(panel.model)


def _has_rounds(collection: Collection, runs: pd.DataFrame) -> bool:
    """Whether some run has several rounds, and they are there to read."""
    return any(len(rounds_of(collection, str(run_id))) > 1 for run_id in runs["run_id"][runs["rounds"] > 1])


def _cell(axes: Axes, rows: pd.DataFrame, column: str, looks: Mapping[str, Mapping[str, Any]]) -> None:
    last = int(rows["round"].max())
    for method in [name for name in looks or ordered_methods(rows["method"]) if name in set(rows["method"])]:
        own = rows[rows["method"] == method].sort_values("round")
        label = str(own["method_label"].iloc[0])
        line = {"label": label, **looks[method]} if looks else method_style(method, label).line()
        if len(own) == 1:  # it ends where the others' last round does
            level = float(own[column].iloc[0])
            axes.plot([1, last], [level, level], **{**line, "marker": ""})
        else:
            axes.plot(own["round"], own[column], markevery=max(1, last // 8), **line)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _grid(which: Any, heading: str, looks: Mapping[str, Mapping[str, Any]], **more: Any) -> PanelGrid:
    return PanelGrid(
        panels=which,
        data=accuracy_by_round,
        rows=[
            ("test accuracy [%]", partial(_cell, column="test_accuracy", looks=looks)),
            ("training accuracy [%]", partial(_cell, column="train_accuracy", looks=looks)),
        ],
        heading=heading,
        xlabel="round; a method of one round is a level line",
        **more,
    )


GRID = _grid(method_panels, "Accuracy by round", {}, shown="")
PARTS_GRID = _grid(part_panels, "LW without each of its parts, by round", _PART_LOOKS, shown="CIFAR100")
