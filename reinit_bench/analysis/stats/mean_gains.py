"""What each method gains over the baseline, by the size of the training set, with intervals over datasets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from reinit_bench.analysis.stats.scores import Scores, by_model
from reinit_bench.analysis.stats.summary import Estimate, over_datasets

BOUNDS = (1_000, 5_000, 20_000)
"""Where there are many sizes, they are grouped up to each of these and above the last."""

FEW_SIZES = 5
"""Up to this many sizes, each is a group of its own."""

Sizes = tuple[int, int]
"""The smallest and the largest training set of a group."""


@dataclass(frozen=True, kw_only=True)
class GainGroup:
    """The mean gain of each method over BL in percentage points, in one architecture (or ALL) and group of sizes."""

    model: str
    sizes: Sizes
    gains: Mapping[str, Estimate]

    @property
    def most(self) -> Estimate:
        """The gain that is over the most datasets or settings."""
        return max(self.gains.values(), key=lambda gain: gain.n)

    @property
    def size_words(self) -> str:
        """The group's sizes as text: `3,000–5,000`."""
        low, high = self.sizes
        return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def mean_gains(scores: Scores) -> list[GainGroup]:
    """For all architectures and each one, by group of sizes; every setting that has both numbers counts.

    Datasets of unknown size are left out.
    """
    frame = scores.frame.dropna(subset=["examples"])
    methods = [name for name in scores.methods if name != "bl"]
    if "bl" not in scores.methods or frame.empty:
        return []
    groups = size_groups(frame["examples"])
    found = [
        GainGroup(model=model, sizes=sizes, gains=dict(_gains(rows[rows["examples"].between(*sizes)], methods)))
        for model, rows in by_model(frame)
        for sizes in groups
    ]
    return [group for group in found if group.gains]


def size_groups(examples: Sequence[float] | pd.Series) -> list[Sizes]:
    """The smallest and the largest size of each group, in order."""
    sizes = sorted({int(size) for size in examples})
    if len(sizes) <= FEW_SIZES:
        return [(size, size) for size in sizes]
    edges = [0, *BOUNDS, math.inf]
    groups = [[size for size in sizes if low < size <= high] for low, high in pairwise(edges)]
    return [(group[0], group[-1]) for group in groups if group]


def _gains(rows: pd.DataFrame, methods: Sequence[str]) -> Iterator[tuple[str, Estimate]]:
    for method in methods:
        gained = (rows[method] - rows["bl"]).dropna()
        if len(gained):
            yield method, over_datasets(gained, rows["dataset"])
