"""Figure 8: training accuracy by epoch in the first, the middle and the last round of LW (Appendix E)."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.panels import APPENDIX_E, PANEL, averages, head, of_one_dataset, one_setting
from reinit_bench.analysis.figures.style import BLUE, GREEN, ORANGE, TEXT_WIDTH, short
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.measurements import history_of

MODEL, DATASETS = "vgg16", ("CIFAR10", "CIFAR100", "FMNIST")
"""The paper's panels."""

_LOOKS = {"first": (BLUE, (0, (4, 1.5)), "o"), "middle": (GREEN, (0, (1, 1)), "^"), "last": (ORANGE, "-", "*")}
_MOST_PANELS = 4


def draw(collection: Collection) -> Figure:
    """vgg16 on the paper's three datasets; where there is none of them, the architectures of what there is."""
    runs = collection.default_images
    runs = one_setting(collection, runs[runs["method"] == "lw"], wanted=APPENDIX_E)
    names = shown(runs)
    runs = runs[pd.MultiIndex.from_frame(runs[PANEL]).isin(names)]
    data = accuracy_by_epoch(collection, runs)
    if data.empty:
        raise NothingToDraw(
            f"figure8: no finished run of LW with a curve in {collection.path}; reinit-bench -m study=figure8"
        )
    figure = Figure(figsize=(TEXT_WIDTH, 2.7), layout="constrained")
    cells = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    one_model = runs["model"].nunique() == 1
    for (dataset, model), axes in zip(names, cells, strict=True):
        _cell(axes, data[(data["dataset"] == dataset) & (data["model"] == model)])
        axes.set_title(short(dataset if one_model else model))
    cells[0].set_ylabel("training accuracy [%]")
    dataset, model = names[0]
    instead = "" if model == MODEL and dataset in DATASETS else " (the paper shows vgg16 on CIFAR)"
    title = f"Rounds of LW: {short(model if one_model else dataset)}{instead}"
    head(figure, title, "epoch of the round", runs, cells[:1])
    return figure


def shown(runs: pd.DataFrame) -> list[tuple[str, str]]:
    """The paper's panels of those there are; else vgg16 on other datasets; else the architectures of one dataset."""
    there, of_one = (
        list(dict.fromkeys(some[PANEL].itertuples(index=False, name=None))) for some in (runs, of_one_dataset(runs))
    )
    own = [(dataset, MODEL) for dataset in DATASETS if (dataset, MODEL) in there]
    vgg16 = [name for name in there if name[1] == MODEL]
    return own or (vgg16 if len(vgg16) > 1 else of_one)[:_MOST_PANELS]


def accuracy_by_epoch(collection: Collection, runs: pd.DataFrame) -> pd.DataFrame:
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

    data = averages(runs, points_of, ["round", "epoch"])
    return data.assign(accuracy=100 * data.get("train_accuracy", 0.0))


def named_rounds(rounds: pd.Series) -> pd.Series:
    """first, middle or last for rounds 1, half of all (rounded up) and all; none for the others."""
    count = int(rounds.max())
    return rounds.map({(count + 1) // 2: "middle", 1: "first", count: "last"})


def _cell(axes: Axes, rows: pd.DataFrame) -> None:
    for name, (color, linestyle, marker) in _LOOKS.items():
        own = rows[rows["round"] == name].sort_values("epoch")
        line = axes.plot(own["epoch"], own["accuracy"], color=color, linestyle=linestyle, label=f"{name} round")
        line[0].set(marker=marker, markersize=5.5, markevery=max(1, len(own) // 6))
    axes.set_ylim(0, 104)
