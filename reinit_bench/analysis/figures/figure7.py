"""Figure 7: the size of the weights over the baseline's, as a Gaussian approximation of its density by method."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import norm

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.style import COLUMN_WIDTH, GRAY, method_style, short
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.measurements import diagnostics_of, with_diagnostics
from reinit_bench.analysis.frame.methods import ordered_methods

NEEDED = "weights.size"


def draw(collection: Collection) -> Figure:
    """One density per method, over all datasets, architectures, conditions and seeds that it shares with BL."""
    pairs = ratios(collection)
    densities = gaussians(pairs)
    if densities.empty:
        raise NothingToDraw(
            f"figure7: {len(pairs)} finished runs in {collection.path} have their weights measured and a "
            "baseline of the same setting and seed, and a method needs two; reinit-bench -m study=digits"
        )
    legend_lines = (len(densities) + 1) // 2
    figure = Figure(figsize=(COLUMN_WIDTH * 1.4, 3.1 + 0.17 * legend_lines), layout="constrained")
    axes = figure.subplots()
    for method, label, n, mean, std in densities.itertuples(name=None):
        style = method_style(method, label)
        ratio = np.linspace(mean - 3.5 * std, mean + 3.5 * std, 141)
        words = f"{style.label}: {mean:.2f} ± {std:.2f} (n={n})"
        axes.plot(ratio, norm.pdf(ratio, mean, std), **style.line(label=words, markevery=(10, 20)))
    axes.axvline(1.0, color=GRAY, linewidth=0.8)
    axes.set_ylabel("density (Gaussian approximation)")
    axes.set_xlabel("size of the weights / the baseline's")
    datasets = sorted(map(short, pairs["dataset_label"].unique()))
    axes.set_title(f"Size of the weights: {', '.join(datasets) if len(datasets) < 4 else f'{len(datasets)} datasets'}")
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside lower center", ncols=2, handlelength=3.2)
    return figure


def ratios(collection: Collection) -> pd.DataFrame:
    """The runs that have a baseline of the same setting and seed, with the `ratio` of their weights' size to its.

    A setting is everything but the method and its own settings, its number of rounds (`method.repeats`) excepted.
    """
    runs = with_diagnostics(collection, collection.default_images, NEEDED)
    sized = runs.assign(size=[float(diagnostics_of(collection, run_id)[NEEDED]) for run_id in runs["run_id"]])
    settings = [*collection.shared_settings, *(name for name in ("method.repeats",) if name in runs)]
    keys = ["seed", *(name for name in settings if runs[name].nunique(dropna=False) > 1)]
    is_baseline = sized["method"] == "bl"
    baseline = sized.loc[is_baseline, [*keys, "size"]]
    paired = sized[~is_baseline].merge(baseline, on=keys, suffixes=("", " of baseline"))
    return paired.assign(ratio=(paired["size"] / paired["size of baseline"]).astype(float))


def gaussians(pairs: pd.DataFrame) -> pd.DataFrame:
    """For each method with two pairs or more, by name: `method_label`, and `size`, `mean` and `std` of the ratio."""
    found = pairs.groupby(["method", "method_label"])["ratio"].agg(["size", "mean", "std"]).reset_index("method_label")
    found = found[(found["size"] > 1) & (found["std"] > 0)]
    return found.loc[ordered_methods(found.index)]
