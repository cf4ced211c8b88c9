"""What each method gains over the baseline, by the size of the training set, with intervals over datasets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import pandas as pd

from reinit_bench.analysis.outcomes import ALL, Outcomes
from reinit_bench.analysis.ranks import Unit

BOUNDS = (1_000, 5_000, 20_000)
"""Where there are many sizes, they are put together up to each of these and above the last."""

FEW_SIZES = 5
"""So many sizes or fewer stand each on its own."""

_CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Gain:
    """The mean gain of one method over BL, in percentage points.

    Attributes:
        model: the architecture, or ALL.
        sizes: the smallest and the largest training set of the group.
        unit: what the interval is over: datasets, or the settings of the group's only dataset.
        n: how many of them.
        half: half the width of the 95% t-interval; None for one unit.
    """

    model: str
    sizes: tuple[int, int]
    method: str
    unit: Unit
    n: int
    mean: float
    half: float | None

    @property
    def size_words(self) -> str:
        """The group's sizes as text: `3,000–5,000`."""
        low, high = self.sizes
        return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def gains(found: Outcomes) -> list[Gain]:
    """For all architectures and each one, by size group and method; every setting that has both numbers counts.

    A dataset is one number in the mean, whatever number of settings it has. Datasets of unknown size are left out.
    """
    frame = found.frame.dropna(subset=["examples"])
    methods = [name for name in found.methods if name != "bl"]
    if "bl" not in found.methods or not methods or frame.empty:
        return []
    groups = size_groups(frame["examples"])
    models = list(dict.fromkeys(frame["model"]))
    return [
        gain
        for model in ([ALL] if len(models) > 1 else []) + models
        for sizes in groups
        for gain in _gains(frame if model == ALL else frame[frame["model"] == model], model, sizes, methods)
    ]


def size_groups(examples: Sequence[float] | pd.Series) -> list[tuple[int, int]]:
    """The smallest and the largest size of each group, in order."""
    sizes = sorted({int(size) for size in examples})
    if len(sizes) <= FEW_SIZES:
        return [(size, size) for size in sizes]
    edges = [0, *BOUNDS, math.inf]
    groups = [[size for size in sizes if low < size <= high] for low, high in pairwise(edges)]
    return [(group[0], group[-1]) for group in groups if group]


def _gains(frame: pd.DataFrame, model: str, sizes: tuple[int, int], methods: Sequence[str]) -> Iterator[Gain]:
    rows = frame[frame["examples"].between(*sizes)]
    for method in methods:
        gained = (rows[method] - rows["bl"]).dropna()
        datasets = gained.groupby(rows["dataset"]).mean()
        unit: Unit = "dataset" if len(datasets) > 1 else "setting"
        values = datasets if unit == "dataset" else gained
        if len(values):
            mean, half = interval(values)
            yield Gain(model=model, sizes=sizes, method=method, unit=unit, n=len(values), mean=mean, half=half)


def interval(values: pd.Series) -> tuple[float, float | None]:
    """The mean and half the width of its 95% t-interval; None in place of that for a single value."""
    n = len(values)
    half = _quantile(n - 1) * float(values.std()) / math.sqrt(n) if n > 1 else None
    return float(values.mean()), half


@cache
def _quantile(degrees: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.5 + _CONFIDENCE / 2, degrees))


def by_group(found: Sequence[Gain]) -> Mapping[tuple[str, tuple[int, int]], Mapping[str, Gain]]:
    """The gains by architecture and size group, then by method."""
    groups: dict[tuple[str, tuple[int, int]], dict[str, Gain]] = {}
    for gain in found:
        groups.setdefault((gain.model, gain.sizes), {})[gain.method] = gain
    return groups
