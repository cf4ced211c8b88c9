"""Means, spreads and intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import pandas as pd

from reinit_bench.analysis.frame.labels import plural

CONFIDENCE = 0.95

Unit = Literal["dataset", "setting"]
"""What a mean over settings is taken over."""


@dataclass(frozen=True)
class Summary:
    """Test accuracy over `n` seeds in percent; `std` is the sample standard deviation (n - 1), None for one seed."""

    n: int
    mean: float
    std: float | None

    @classmethod
    def of(cls, percents: pd.Series) -> Summary:
        """The summary of one or more accuracies."""
        return cls(len(percents), float(percents.mean()), float(percents.std()) if len(percents) > 1 else None)

    @property
    def rounded(self) -> tuple[int, float, float | None]:
        """The three numbers as a CSV file has them."""
        return self.n, round(self.mean, 4), None if self.std is None else round(self.std, 4)


@dataclass(frozen=True)
class Interval:
    """A mean over `n` datasets or settings with half the width of its 95% t-interval, None for one of them."""

    unit: Unit
    n: int
    mean: float
    half: float | None

    def __str__(self) -> str:
        return f"{self.mean:+.1f}" if self.half is None else f"{self.mean:+.1f} ± {self.half:.1f}"

    @property
    def over(self) -> str:
        """What the mean is over: `3 datasets`."""
        return plural(self.n, self.unit)


def summaries(runs: pd.DataFrame, keys: Sequence[str]) -> dict[tuple[Any, ...], Summary]:
    """Test accuracy of the runs that agree in all `keys` (two or more columns), in order of their appearance."""
    if runs.empty:
        return {}
    groups = runs.groupby(list(keys), sort=False, dropna=False)["test_accuracy"].agg(["size", "mean", "std"])
    return {
        key: Summary(int(n), 100 * float(mean), None if math.isnan(std) else 100 * float(std))
        for key, (n, mean, std) in zip(groups.index, groups.to_numpy(), strict=True)
    }


def interval(differences: pd.Series, datasets: pd.Series) -> Interval:
    """The mean of one or more settings' differences; `datasets` names the dataset of each.

    Settings of one dataset are not independent, so that a dataset counts as one number, whatever number of settings it
    has; where there is only one dataset, its settings are averaged.
    """
    means = differences.groupby(datasets).mean()
    unit: Unit = "dataset" if len(means) > 1 else "setting"
    values = means if unit == "dataset" else differences
    return Interval(unit, len(values), float(values.mean()), half_width(values))


def half_width(values: pd.Series) -> float | None:
    """Half the width of the 95% t-interval of the values' mean; None for one value."""
    n = len(values)
    return t_quantile(n - 1) * float(values.std()) / math.sqrt(n) if n > 1 else None


@cache
def t_quantile(degrees: float) -> float:
    """How many standard errors a 95% t-interval with so many degrees of freedom reaches to each side."""
    from scipy.stats import t

    return float(t.ppf(0.5 + CONFIDENCE / 2, degrees))
