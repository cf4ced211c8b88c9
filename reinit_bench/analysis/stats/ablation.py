"""Appendix F's runs: methods with settings of their own changed, beside the method as it is and the baseline."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import norms_of
from reinit_bench.analysis.frame.settings import REPEATS

PUBLISHED: Mapping[tuple[str, str, str, str], float] = {
    ("CIFAR10", "vgg16", "group", "bl"): 66,
    ("CIFAR10", "vgg16", "group", "lw reinitialize"): 66,
    ("CIFAR10", "vgg16", "group", "lw"): 75,
    ("CIFAR100", "vgg16", "group", "bl"): 34,
    ("CIFAR100", "vgg16", "group", "lw reinitialize"): 34,
    ("CIFAR100", "vgg16", "group", "lw"): 42,
    ("CIFAR100", "vgg16", "none", "bl"): 34,
    ("CIFAR100", "vgg16", "none", "lw normalize"): 24,
    ("CIFAR100", "vgg16", "none", "lw"): 42,
}
"""What Appendix F's text says in percent, most with the word "around", by dataset, model, norm and variant."""


def ablation_runs(collection: Collection) -> tuple[pd.DataFrame, int]:
    """The runs of all settings in which a variant was trained, and how many variants other conditions have.

    Of the runs, `method` is the variant and `norm` the network's; there are BL, the methods that have variants, and
    these. The condition is Table 6's (no augmentation, no dropout).
    """
    runs = collection.images
    here = pd.Series(True, index=runs.index)
    for column, value in paper.CONDITIONS[6].settings.items():
        here &= runs[column] == value
    elsewhere = int((runs["variant"] != runs["method"])[~here].sum())
    runs = runs[here]
    keys = pd.Series(list(runs[row_settings(collection)].astype(str).itertuples(index=False, name=None)), runs.index)
    changed = runs["variant"] != runs["method"]
    wanted = runs["method"].isin(["bl", "lw", *runs["method"][changed]]) & keys.astype(object).isin(set(keys[changed]))
    return runs.assign(method=runs["variant"], norm=norms_of(runs))[wanted], elsewhere


def row_settings(collection: Collection) -> list[str]:
    """The settings of a row: all that are not a method's own, and how often the rounds are gone through."""
    return [*collection.shared_settings, *(name for name in collection.settings if name == REPEATS)]
