"""Means, spreads and 95% t-intervals: the one place where either is computed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import pandas as pd

from reinit_bench.analysis.frame.labels import plural

CONFIDENCE = 0.95

Unit = Literal["dataset", "setting"]
"""What a mean over settings is taken over."""


@dataclass(frozen=True)
class Summary:
    """`n` numbers, mostly test accuracies in percent; `std` is the sample standard deviation (n - 1), None for one."""

    n: int
    mean: float
    std: float | None

    @classmethod
    def of(cls, values: pd.Series | np.ndarray) -> Summary:
        """The summary of one or more numbers."""
        several = len(values) > 1
        return cls(len(values), float(np.mean(values)), float(np.std(values, ddof=1)) if several else None)

    @property
    def for_csv(self) -> tuple[int, float, float | None]:
        """The three numbers as a CSV file has them."""
        return self.n, round(self.mean, 4), None if self.std is None else round(self.std, 4)


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% t-interval, which reaches `margin` to each side; None where nothing tells the spread.

    `n` is over how many numbers it is; `unit` is what these are, where they are means.
    """

    value: float
    margin: float | None
    n: int
    unit: Unit = "setting"

    @property
    def low(self) -> float | None:
        return None if self.margin is None else self.value - self.margin

    @property
    def high(self) -> float | None:
        return None if self.margin is None else self.value + self.margin

    @property
    def for_csv(self) -> tuple[float, float | None]:
        """The number and its margin as a CSV file has them."""
        return round(self.value, 4) + 0.0, None if self.margin is None else round(self.margin, 4)

    @property
    def over(self) -> str:
        """What the mean is over: `3 datasets`."""
        return plural(self.n, self.unit)

    def __str__(self) -> str:
        return f"{self.value:+.1f}" if self.margin is None else f"{self.value:+.1f} ± {self.margin:.1f}"


def summaries(runs: pd.DataFrame, keys: Sequence[str]) -> dict[tuple[Any, ...], Summary]:
    """Test accuracy of the runs that agree in all `keys` (two or more columns), in order of their appearance."""
    if runs.empty:
        return {}
    groups = runs.groupby(list(keys), sort=False, dropna=False)["test_accuracy"].agg(["size", "mean", "std"])
    return {
        key: Summary(int(n), 100 * float(mean), None if math.isnan(std) else 100 * float(std))
        for key, (n, mean, std) in zip(groups.index, groups.to_numpy(), strict=True)
    }


def estimate(strata: Sequence[Summary], weights: Sequence[float] | None = None) -> Estimate:
    """The strata's means, weighted and added; by default their mean. Degrees of freedom by Welch and Satterthwaite."""
    shares = weights or [1 / len(strata)] * len(strata)
    value, n = sum(w * one.mean for w, one in zip(shares, strata, strict=True)), sum(one.n for one in strata)
    variances = [w**2 * one.std**2 / one.n for w, one in zip(shares, strata, strict=True) if one.std is not None]
    if len(variances) < len(strata):
        return Estimate(value, None, n)
    if not sum(variances):
        return Estimate(value, 0.0, n)
    degrees = sum(variances) ** 2 / sum(part**2 / (one.n - 1) for part, one in zip(variances, strata, strict=True))
    return Estimate(value, t_quantile(degrees) * math.sqrt(sum(variances)), n)


def paired_differences(runs: pd.DataFrame, column: str, base: Any, keys: Sequence[str] = ("seed",)) -> pd.DataFrame:
    """Test accuracy in points above that of the run at `base` of the same `keys`, where there is one.

    A row for each run whose `column` is not `base`, with `difference` and the `baseline` in percent.
    """
    at_base = runs[column] == base
    baseline = runs[at_base].set_index(list(keys))["test_accuracy"].rename("baseline").mul(100)
    paired = runs[~at_base].merge(baseline.reset_index(), on=list(keys))
    return paired.assign(difference=100 * paired["test_accuracy"] - paired["baseline"])


def over_datasets(differences: pd.Series, datasets: pd.Series) -> Estimate:
    """The mean of one or more settings' differences; `datasets` names the dataset of each.

    Settings of one dataset are not independent, so that a dataset counts as one number, whatever number of settings it
    has; where there is only one dataset, its settings are averaged.
    """
    means = differences.groupby(datasets).mean()
    unit: Unit = "dataset" if len(means) > 1 else "setting"
    found = estimate([Summary.of(means if unit == "dataset" else differences)])
    return Estimate(found.value, found.margin, found.n, unit)


@cache
def t_quantile(degrees: float) -> float:
    """How many standard errors a 95% t-interval with so many degrees of freedom reaches to each side."""
    from scipy.stats import t

    return float(t.ppf(0.5 + CONFIDENCE / 2, degrees))
