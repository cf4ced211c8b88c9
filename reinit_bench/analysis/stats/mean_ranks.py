"""Mean ranks of the methods, Friedman's test and the critical difference of Nemenyi's (Demsar 2006, Section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import pandas as pd

from reinit_bench.analysis.stats.scores import Scores, by_model
from reinit_bench.analysis.stats.significance import LEVEL
from reinit_bench.analysis.stats.summary import Unit

ENOUGH_DATASETS = 5
"""With fewer datasets than these, ranks over datasets say next to nothing."""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The methods ranked over the datasets or the settings of one architecture.

    Attributes:
        model: the architecture, or ALL.
        unit: what is ranked in: datasets (each method's mean over the dataset's settings), or settings one by one.
        n: how many of them.
        mean_ranks: by method; 1 is the best, equal accuracies share their ranks.
        statistic, p: Friedman's chi-square and its p-value; None with fewer than three methods or two units.
        critical_difference: two methods whose mean ranks differ by more are different at 95% (Nemenyi).
    """

    model: str
    unit: Unit
    n: int
    mean_ranks: Mapping[str, float]
    statistic: float | None
    p: float | None
    critical_difference: float

    def groups(self) -> list[tuple[str, ...]]:
        """Maximal sets of two or more methods, best first, that the critical difference does not tell apart."""
        order = sorted(self.mean_ranks, key=self.mean_ranks.__getitem__)
        found: list[tuple[str, ...]] = []
        for first, best in enumerate(order):
            behind = {name: self.mean_ranks[name] - self.mean_ranks[best] for name in order[first:]}
            near = [name for name in behind if behind[name] <= self.critical_difference]
            if len(near) > 1 and not (found and set(near) <= set(found[-1])):
                found.append(tuple(near))
        return found


def rankings(scores: Scores) -> list[Ranking]:
    """Over all architectures and for each one; over datasets, where there are several, and over settings.

    Only settings with all methods count.
    """
    if scores.complete.empty or len(scores.methods) < 2:
        return []
    found = []
    for model, rows in by_model(scores.complete):
        by_method = rows[list(scores.methods)]
        if rows["dataset"].nunique() > 1:
            found.append(rank(by_method.groupby(rows["dataset"]).mean(), model, "dataset"))
        found.append(rank(by_method, model, "setting"))
    return found


def to_show(found: Sequence[Ranking]) -> list[Ranking]:
    """One of each architecture: over datasets where there are enough of them, otherwise over settings."""
    enough = {one.model for one in found if one.unit == "dataset" and one.n >= ENOUGH_DATASETS}
    return [one for one in found if one.unit == ("dataset" if one.model in enough else "setting")]


@cache
def critical_difference(methods: int, n: int) -> float:
    """Nemenyi's critical difference at 95% for this many methods over `n` datasets (Demsar's Table 5(a))."""
    from scipy.stats import studentized_range

    critical = float(studentized_range.isf(LEVEL, methods, math.inf)) / math.sqrt(2)
    return critical * math.sqrt(methods * (methods + 1) / (6 * n))


def rank(accuracies: pd.DataFrame, model: str, unit: Unit) -> Ranking:
    """Rank the columns (methods) within each row."""
    rounded = accuracies.round(6)
    ranks = rounded.rank(axis=1, ascending=False)
    statistic, p = _friedman(rounded)
    return Ranking(
        model=model,
        unit=unit,
        n=len(ranks),
        mean_ranks={str(name): float(mean) for name, mean in ranks.mean().items()},
        statistic=statistic,
        p=p,
        critical_difference=critical_difference(ranks.shape[1], len(ranks)),
    )


def _friedman(accuracies: pd.DataFrame) -> tuple[float | None, float | None]:
    from scipy.stats import friedmanchisquare

    # Where every row is one tie, the statistic is 0/0.
    if len(accuracies) < 2 or accuracies.shape[1] < 3 or (accuracies.nunique(axis=1) == 1).all():
        return None, None
    statistic, p = friedmanchisquare(*(accuracies[name] for name in accuracies))
    return float(statistic), float(p)
