"""What each reading of the paper changes: test accuracy under it minus that under the default, seed by seed."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import condition_label, distinguishing_settings
from reinit_bench.analysis.frame.methods import ordered_methods
from reinit_bench.analysis.stats.readings import READINGS, readings
from reinit_bench.analysis.stats.summary import Summary, half_width


@dataclass(frozen=True, kw_only=True)
class ReadingEffect:
    """One method under one reading and under the default, over the seeds that both have.

    Attributes:
        dataset: its label, with the number of training examples where that was cut.
        model: the architecture, with its condition and what else tells its runs apart.
        reading: the changed setting as typed.
        method: its name.
        default: test accuracy under the default, in percent.
        changed: the same under the reading.
        difference: mean of the paired differences, in points.
        half: half the width of its 95% t-interval; None for one seed.
        higher: in how many seeds the test accuracy is higher under the reading.
        lower: in how many it is lower.
    """

    dataset: str
    model: str
    reading: str
    method: str
    default: Summary
    changed: Summary
    difference: float
    half: float | None
    higher: int
    lower: int


def reading_runs(collection: Collection) -> pd.DataFrame:
    """The runs on images at the default or under one reading, with that in a column `reading`."""
    runs = collection.images.assign(reading=readings(collection.images))
    return runs[runs["reading"].notna()]


def reading_effects(collection: Collection) -> list[ReadingEffect]:
    """Every method, setting and reading that has runs with the seeds of the default's, in the order of tables."""
    runs = reading_runs(collection)
    shared = [name for name in collection.settings if name not in READINGS]
    told = [name for name in shared if not name.startswith(("augmentation", "dropout"))]
    others = distinguishing_settings(runs, told)
    settings = list(runs[shared].astype(str).itertuples(index=False, name=None))
    runs = runs.assign(
        dataset=runs["dataset_shown"],
        setting=pd.Series(settings, runs.index, object),
        words=list(map(_label, runs["model"], runs["augmentation"], runs["dropout_rate"], others)),
    )
    compared = runs[runs.groupby("setting")["reading"].transform("nunique") > 1]  # few of some thousand settings are
    found = [one for _, same in compared.groupby("setting", sort=False) for one in _effects(same)]
    methods = ordered_methods({one.method for one in found})
    return sorted(found, key=lambda one: _place(one, methods))


def _effects(runs: pd.DataFrame) -> list[ReadingEffect]:
    """Of runs that differ in nothing but the reading and the seed."""
    by_reading = {
        str(name): 100 * group.set_index("seed")["test_accuracy"] for name, group in runs.groupby("reading", sort=False)
    }
    default = by_reading.pop("", pd.Series(dtype=float))
    first, found = runs.iloc[0], []
    for name, accuracies in by_reading.items():
        seeds = accuracies.index.intersection(default.index)
        if seeds.empty:
            continue
        differences = (accuracies - default)[seeds]
        effect = ReadingEffect(
            dataset=first["dataset"],
            model=first["words"],
            reading=name,
            method=first["method"],
            default=Summary.of(default[seeds]),
            changed=Summary.of(accuracies[seeds]),
            difference=float(differences.mean()),
            half=half_width(differences),
            higher=int((differences > 0).sum()),
            lower=int((differences < 0).sum()),
        )
        found.append(effect)
    return found


def _label(model: str, augmentation: str, dropout_rate: float, others: str) -> str:
    """`mobilenet, mild augmentation [model.width=0.25]`; nothing is said where there is nothing."""
    is_plain = augmentation == "none" and not dropout_rate
    name = model if is_plain else f"{model}, {condition_label(augmentation, dropout_rate)}"
    return f"{name} [{others}]" if others else name


def _place(one: ReadingEffect, methods: list[str]) -> tuple[object, ...]:
    model = paper.order_key(re.split(r"[, ]", one.model)[0], paper.MODELS)
    return one.dataset, model, one.model, READINGS.index(_column(one.reading)), one.reading, methods.index(one.method)


def _column(reading: str) -> str:
    return reading.partition("=")[0]
