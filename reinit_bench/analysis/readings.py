"""The readings of the paper that Table 1 tells apart, each with its distance from the published values."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reinit_bench.analysis import paper
from reinit_bench.analysis.collect import setting_name
from reinit_bench.analysis.lines import typed
from reinit_bench.analysis.synthetic import SETTINGS

_PARTS = (
    "method.rescale=false",
    "method.normalize=false",
    "method.reinitialize=false",
    "method.freeze=true",
)
"""Appendix F's ablations: no readings of the paper."""


@dataclass(frozen=True)
class Reading:
    """One cell of Table 1 under one reading, in percent.

    Attributes:
        changed: the setting that is not at its default, as typed; `default` where none is.
        difference: ours minus the paper's, in combined standard deviations; NaN where the paper's value is lost.
        error: the difference's standard error, by our seeds alone.
    """

    method: str
    alpha: float
    changed: str
    n: int
    mean: float
    std: float
    published: float
    difference: float
    error: float


def readings(frame: pd.DataFrame) -> list[Reading]:
    """The default and every reading that changes one setting, by method, alpha and mean; of a collection's frame."""
    return list(_summaries(with_changes(frame)))


def with_changes(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs that change at most one of Table 1's settings, with a column `changed`."""
    runs = frame[(frame["dataset"] == "synthetic") & frame["method"].isin(list(paper.LETTERS))]
    if "dataset.alpha" not in runs:  # there is no run on these data
        runs = runs.assign(**{"dataset.alpha": float("nan")})
    # Empty text where several settings are changed at once: that is no reading of its own.
    changed = pd.Series([_changed(row) for row in runs.to_dict("records")], index=runs.index, dtype=object)
    return runs.assign(changed=changed)[~changed.isin(["", *_PARTS])]


def _changed(row: Mapping[Hashable, Any]) -> str:
    """The one setting that is not Table 1's, `default` without any, empty where there are several."""
    other = [
        f"{setting_name(column)}={typed(row[column])}"
        for column, value in SETTINGS.items()
        if column in row and not pd.isna(row[column]) and row[column] != value
    ]
    return "" if len(other) > 1 else "".join(other) or "default"


def _summaries(runs: pd.DataFrame) -> Iterator[Reading]:
    published = {
        (alpha, method): (mean, std) for alpha, method, mean, std in paper.published(1).itertuples(index=False)
    }
    for (method, alpha, changed), group in runs.groupby(["method", "dataset.alpha", "changed"]):
        accuracy = 100 * group["test_accuracy"]
        mean, std = float(accuracy.mean()), float(accuracy.std())
        if (alpha, method) in published:
            theirs, spread = published[alpha, method]
            unit = math.hypot(std, spread)
            off, error = (mean - theirs) / unit, std / math.sqrt(len(group)) / unit
            yield Reading(str(method), float(str(alpha)), str(changed), len(group), mean, std, theirs, off, error)
