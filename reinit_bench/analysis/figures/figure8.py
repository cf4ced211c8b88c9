"""Figure 8: training accuracy by epoch in the first, the middle and the last round of LW (Appendix E)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.panels import Panel, averages, footnote, head, of_one_dataset, panels, together
from reinit_bench.analysis.figures.style import BLUE, GREEN, ORANGE, TEXT_WIDTH, short, styled
from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import condition_title
from reinit_bench.analysis.frame.measurements import history_of

MODEL, DATASETS = "vgg16", ("CIFAR10", "CIFAR100", "FMNIST")
"""The paper's panels."""

WANTED = {"trainer.momentum": 0.0, **paper.CONDITIONS[6].settings}
"""Appendix E's settings."""

_LOOKS = {"first": (BLUE, (0, (4, 1.5)), "o"), "middle": (GREEN, (0, (1, 1)), "^"), "last": (ORANGE, "-", "*")}
_MOST_PANELS = 4


@styled
def draw(collection: Collection) -> Figure:
    """vgg16 on the paper's three datasets; where there is none of them, the architectures of what there is.

    Raises:
        NothingToDraw: no finished run of LW has a curve.
    """
    runs = collection.default_images
    found = shown(panels(collection, runs[runs["method"] == "lw"], wanted=WANTED))
    data = accuracy_by_epoch(collection, found)
    if data.empty:
        raise NothingToDraw(
            f"figure8: no finished run of LW with a curve in {collection.path}; reinit-bench -m study=figure8"
        )
    lw = together(found)
    note = footnote(lw)
    figure = Figure(figsize=(TEXT_WIDTH, 2.7 + 0.15 * len(note.splitlines())), layout="constrained")
    cells = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
    one_model = len({panel.model for panel in found}) == 1
    for panel, axes in zip(found, cells, strict=True):
        _cell(axes, data[(data["dataset"] == panel.dataset) & (data["model"] == panel.model)])
        axes.set_title(short(panel.dataset if one_model else panel.model))
    cells[0].set_ylabel("training accuracy [%]")
    what = found[0].model if one_model else found[0].dataset
    instead = "" if found[0].model == MODEL and found[0].dataset in DATASETS else " (the paper shows vgg16 on CIFAR)"
    head(figure, f"Rounds of LW: {short(what)}{instead}\n{condition_title(lw)}", "epoch of the round", note, cells[:1])
    return figure


def shown(found: Sequence[Panel]) -> list[Panel]:
    """The paper's panels of those there are; else vgg16 on other datasets; else the architectures of one dataset."""
    vgg16 = [panel for panel in found if panel.model == MODEL]
    own = sorted((panel for panel in vgg16 if panel.dataset in DATASETS), key=lambda one: DATASETS.index(one.dataset))
    if own:
        return own
    return (vgg16 if len(vgg16) > 1 else of_one_dataset(found))[:_MOST_PANELS]


def accuracy_by_epoch(collection: Collection, found: Sequence[Panel]) -> pd.DataFrame:
    """A row for each dataset, model, round and epoch: n seeds, their mean training accuracy in percent.

    `round` is first, middle or last. Rounds end when they have converged: the mean at an epoch is of the seeds whose
    round still ran. The accuracy of an epoch is that of its own batches, while the weights change.
    """

    def points_of(run_id: str) -> pd.DataFrame:
        history = history_of(collection, run_id)
        if history.empty:
            return history
        points = history[["epoch", "train_accuracy"]].assign(round=named_rounds(history["round"]))
        return points.dropna(subset="round")

    data = averages(found, points_of, ["round", "epoch"])
    return data.assign(accuracy=100 * data.get("train_accuracy", 0.0))


def named_rounds(rounds: pd.Series) -> pd.Series:
    """first, middle or last for rounds 1, half of all (rounded up) and all; none for the others."""
    count = int(rounds.max())
    return rounds.map({(count + 1) // 2: "middle", 1: "first", count: "last"})


def _cell(axes: Axes, rows: pd.DataFrame) -> None:
    for name, (color, linestyle, marker) in _LOOKS.items():
        own = rows[rows["round"] == name].sort_values("epoch")
        looks: dict[str, Any] = {"color": color, "linestyle": linestyle, "marker": marker, "markersize": 5.5}
        axes.plot(own["epoch"], own["accuracy"], label=f"{name} round", markevery=max(1, len(own) // 6), **looks)
    axes.set_ylim(0, 104)
