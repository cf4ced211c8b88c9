"""The interpretations of the paper that Table 1 tells apart, each with its distance from the published values.

An interpretation changes one setting of the default; where the paper is silent, either could be what it did.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reinit_bench.analysis.runs import paper
from reinit_bench.analysis.runs.collect import records
from reinit_bench.analysis.runs.distance import different
from reinit_bench.analysis.runs.labelling import assignments
from reinit_bench.analysis.runs.lw_variants import SWITCHES
from reinit_bench.analysis.synthetic.selection import SETTINGS

DEFAULT = "default"
"""The interpretation that changes nothing."""

_ABLATIONS = [f"{name}={str(not value).lower()}" for name, value in SWITCHES.items()]
"""Appendix F's changes: no interpretations of the paper."""


@dataclass(frozen=True)
class InterpretedCell:
    """One cell of Table 1 by one interpretation, in percent.

    Attributes:
        changed: the setting that is not at its default, as typed; DEFAULT where none is.
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


def interpretation_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs that change at most one of Table 1's settings, with that in a column `changed`; of a collection."""
    runs = frame[(frame["dataset"] == "synthetic") & frame["method"].isin(list(paper.LETTERS))]
    if "dataset.alpha" not in runs:  # there is no run on these data
        runs = runs.assign(**{"dataset.alpha": float("nan")})
    # None where several settings are changed at once: that is no interpretation of its own.
    changed = pd.Series([_changed(run) for run in records(runs)], index=runs.index, dtype=object)
    return runs.assign(changed=changed)[changed.notna() & ~changed.isin(_ABLATIONS)]


def _changed(run: Mapping[str, Any]) -> str | None:
    changes = assignments(run, different(run, SETTINGS))
    return None if len(changes) > 1 else "".join(changes) or DEFAULT


def interpreted_cells(runs: pd.DataFrame) -> Iterator[InterpretedCell]:
    """The default and every interpretation of `interpretation_runs` by method, strength of the signal and name."""
    published = {(alpha, name): cell for alpha, name, *cell in paper.published(1).itertuples(index=False)}
    for (method, alpha, changed), group in runs.groupby(["method", "dataset.alpha", "changed"]):
        if (alpha, method) not in published:
            continue
        accuracy = 100 * group["test_accuracy"]
        mean, std = float(accuracy.mean()), float(accuracy.std())
        theirs, their_std = published[alpha, method]
        spread = math.hypot(std, their_std)
        difference, error = (mean - theirs) / spread, std / math.sqrt(len(group)) / spread
        yield InterpretedCell(
            str(method), float(str(alpha)), str(changed), len(group), mean, std, theirs, difference, error
        )
