"""Gain over BL of arms tuned alike, by arm: over all settings, and over those alike in labels and regularization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, ScalarFormatter

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.panels import draw_curves
from reinit_bench.analysis.figures.style import (
    BLACK,
    ORANGE,
    TEXT_WIDTH,
    add_legend,
    legend_handles,
    legend_height,
    method_style,
    panels_in_columns,
    styled,
)
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.settings import as_dicts
from reinit_bench.analysis.stats.arms import SETTING, TunedRuns, tuned_runs
from reinit_bench.analysis.stats.paired_gains import BASELINE, arm_gains, groups_of_settings, pairs, sensitivity
from reinit_bench.analysis.stats.summary import Summary, estimate

_COMMAND = "reinit-bench -m study=verdict_fraction"


@styled
def draw(collection: Collection) -> Figure:
    """A panel for each group of settings; dots: mean gains, bars: 95% t-intervals.

    Raises:
        NothingToDraw: no arm of a tuned study has runs beside BL's.
    """
    runs, gained = _needed(collection, "verdict")
    methods = [name for name in runs.methods if name != BASELINE]
    blocks = [(name, rows) for name, rows in groups_of_settings(gained) if len(rows)]
    figure, cells = panels_in_columns(len(blocks), 0.17 * len(methods) + 0.8)
    for axes, (name, rows) in zip(cells, blocks, strict=True):
        found = arm_gains(rows, methods)
        places = {method: place for place, method in enumerate(reversed(methods))}
        for method, one in found.items():
            style = method_style(method, runs.methods[method])
            if one.gain.low is not None and one.gain.high is not None:
                ends = [one.gain.low, one.gain.high]
                axes.plot(ends, [places[method]] * 2, color=style.color, linewidth=1.2)
            axes.plot([one.gain.value], [places[method]], linestyle="none", **style.mark(5.5))
        axes.axvline(0, color=BLACK, linewidth=0.8)
        axes.set_yticks(list(places.values()), [runs.methods[method] for method in places])
        axes.grid(axis="y", visible=False)
        axes.set_ylim(-0.7, len(methods) - 0.3)
        most = max((one.settings for one in found.values()), default=0)
        axes.set_title(f"{name} (at most {most})")
    figure.supxlabel(
        "gain over BL in test accuracy [points], 95% t-intervals; in brackets: how many settings", fontsize=8
    )
    return figure


@styled
def by_size(collection: Collection) -> Figure:
    """Test accuracy and gain over BL by the number of training images, arms tuned alike; right labels, not regularized.

    Raises:
        NothingToDraw: no network has runs with two sizes of the training set.
    """
    runs, gained = _needed(collection, "verdict_sizes")
    plain = (gained["noise"].astype(float) == 0) & ~gained["regularized"].astype(bool)
    shown = _in_panels(gained[plain], "examples")
    if shown.empty:
        raise NothingToDraw(f"verdict_sizes: no network with two sizes of the training set; {_COMMAND}")
    return _two_rows(runs, shown, "examples", "training images", logarithmic=True)


@styled
def by_noise(collection: Collection) -> Figure:
    """Test accuracy and gain over BL by the share of wrong labels, arms tuned alike; all else is equal in a panel.

    Raises:
        NothingToDraw: no network has runs with two shares of wrong labels.
    """
    runs, gained = _needed(collection, "verdict_noise")
    shown = _in_panels(gained, "noise")
    if shown.empty:
        raise NothingToDraw(f"verdict_noise: no network with two shares of wrong labels; {_COMMAND}")
    return _two_rows(runs, shown.assign(noise=100 * shown["noise"].astype(float)), "noise", "wrong labels [%]")


@styled
def spread(collection: Collection) -> Figure:
    """How far each arm's test accuracy spreads over its own trials, from the best to the worst, by setting.

    Raises:
        NothingToDraw: no arm has all of its trials.
    """
    runs, _ = _needed(collection, "verdict_sensitivity")
    table = sensitivity(runs)
    table = table[table["missing"] == 0]
    if table.empty:
        raise NothingToDraw(f"verdict_sensitivity: no arm has all of its trials; {_COMMAND}")
    methods = [name for name in runs.methods if name in set(table["method"])]
    figure = Figure(figsize=(TEXT_WIDTH, 3.0), layout="constrained")
    axes = figure.subplots()
    axes.set_yscale("symlog", linthresh=10)  # linear up to 10 points; an arm that fails in one setting is far off
    for place, method in enumerate(methods):
        own = table[table["method"] == method]["spread"]
        style = method_style(method, runs.methods[method])
        axes.plot([place] * len(own), own, linestyle="none", alpha=0.6, **style.mark(5))
        axes.plot([place - 0.3, place + 0.3], [own.mean()] * 2, color=BLACK, linewidth=1.2)
    axes.set_xticks(range(len(methods)), [runs.methods[name] for name in methods], rotation=60)
    axes.grid(axis="x", visible=False)
    axes.yaxis.set_major_locator(FixedLocator([0, 2, 4, 6, 8, 10, 20, 50, 100]))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.set_ylim(bottom=0)
    axes.set_ylabel("best minus worst trial [points],\nlogarithmic above 10")
    axes.set_title("Sensitivity to learning rate and weight decay: a mark a setting, lines: their means")
    return figure


VARIANTS = {"verdict_sizes": by_size, "verdict_noise": by_noise, "verdict_sensitivity": spread}


def _needed(collection: Collection, figure: str) -> tuple[TunedRuns, pd.DataFrame]:
    runs = tuned_runs(collection)
    gained = pairs(runs)
    if gained.empty:
        raise NothingToDraw(
            f"{figure}: no run of a tuned study with BL and another arm in {collection.path}; {_COMMAND}"
        )
    return runs, gained


def _in_panels(gained: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows of settings that differ in this column and in nothing else, their title in a column `panel`.

    A title says the network, and what else differs between the runs.
    """
    counts = gained.groupby([name for name in SETTING if name != column], dropna=False)[column].transform("nunique")
    shown = gained[counts > 1].sort_values("regularized", kind="stable")
    told = [name for name in SETTING if name not in (column, "network") and gained[name].nunique(dropna=False) > 1]
    return shown.assign(panel=[_title(row, told) for row in as_dicts(shown)])


def _title(setting: Mapping[str, Any], told: Sequence[str]) -> str:
    images = setting["examples"]
    words = {
        "dataset": str(setting["dataset"]),
        "network": str(setting["network"]),
        "examples": "all images" if images is None else f"{images:,.0f} images",
        "regularized": "regularized" if setting["regularized"] else "not regularized",
    }
    return ", ".join(word for name, word in words.items() if name == "network" or name in told)


def _two_rows(runs: TunedRuns, gained: pd.DataFrame, column: str, xlabel: str, *, logarithmic: bool = False) -> Figure:
    """Accuracy (top) and gain over BL (bottom) against a column, by panel; bands: 95% t-intervals."""
    gained = gained.assign(**{column: gained[column].astype(float)})
    titles = list(dict.fromkeys(gained["panel"]))
    shown = [name for name in runs.methods if name == BASELINE or _everywhere(gained, name, column)]
    labels = [runs.methods[name] for name in shown]
    figure = Figure(figsize=(TEXT_WIDTH, 4.6 + legend_height(labels)), layout="constrained")
    cells = figure.subplots(2, len(titles), squeeze=False, sharex="col", sharey="row")
    for title, (top, bottom) in zip(titles, zip(*cells, strict=True), strict=True):
        own = gained[gained["panel"] == title]
        baseline = own.drop_duplicates([column, "seed"]).assign(method=BASELINE, accuracy=own["baseline"])
        both = pd.concat([own, baseline]).assign(method_label=lambda rows: rows["method"].map(runs.methods))
        both = both[both["method"].isin(shown)]
        points = both.groupby([column, "method", "method_label"])[["accuracy", "gain"]].mean().reset_index()
        draw_curves(top, points, column, "accuracy")
        band = own[own["method"] == "lw"].groupby(column)["gain"].agg(mean="mean", half=_margin)
        half = band["half"].fillna(0.0)
        bottom.fill_between(band.index, band["mean"] - half, band["mean"] + half, color=ORANGE, alpha=0.2, linewidth=0)
        draw_curves(bottom, points[points["method"] != BASELINE], column, "gain")
        bottom.axhline(0, color=BLACK, linewidth=0.8)
        top.set_title(title)
        if logarithmic:
            bottom.set_xscale("log")
        places = sorted(own[column].unique())
        bottom.set_xticks(places, [f"{place:,.0f}" for place in places])
        bottom.minorticks_off()
    cells[0][0].set_ylabel("test accuracy [%]")
    cells[1][0].set_ylabel("gain over BL [points]")
    figure.supxlabel(f"{xlabel}; band: LW's 95% t-interval over seeds", fontsize=8)
    add_legend(figure, legend_handles(cells.flat))
    return figure


def _everywhere(gained: pd.DataFrame, method: str, column: str) -> bool:
    """Whether the arm has runs at every place of the axis in some panel: curves with holes mislead."""
    whole = gained.groupby("panel")[column].nunique()
    own = gained[gained["method"] == method].groupby("panel")[column].nunique()
    return bool((own.reindex(whole.index).fillna(0) == whole).any())


def _margin(values: pd.Series) -> float | None:
    return estimate([Summary.of(values)]).margin
