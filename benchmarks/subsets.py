"""Studies within a grid: what each one costs, how near its conclusions are to all settings' ones, and the nearest.

A study has two blocks: some architectures keep all settings, the others share one product of datasets and conditions.
benchmarks/core_study.py has the rule in words and what it is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from reinit_bench.analysis.stats.significance import LEVEL, binomial

ABOUT = 0.8
"""A study costs about the same as the bound from this share of it on."""

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Grid:
    """Published accuracies, and what it costs to make them again.

    Attributes:
        datasets, conditions: labels of the datasets, and the numbers of the tables with these conditions.
        accuracies: by architecture, in percent, NaN where damaged: (datasets, conditions, methods).
        hours: by architecture, of all methods under one condition: (datasets,).
    """

    datasets: tuple[str, ...]
    conditions: tuple[int, ...]
    accuracies: Mapping[str, Array]
    hours: Mapping[str, Array]

    def only(self, places: Sequence[int]) -> Grid:
        """The grid of the datasets in these places."""
        return replace(
            self,
            datasets=tuple(self.datasets[place] for place in places),
            accuracies={model: values[places] for model, values in self.accuracies.items()},
            hours={model: values[places] for model, values in self.hours.items()},
        )


def mean_ranks(accuracies: Array, blocks: Array) -> Array:
    """Each block's mean ranks over its complete settings; NaN where it has none.

    Args:
        accuracies: (settings, methods).
        blocks: which settings each block has: (blocks, settings).

    Returns:
        (blocks, methods); 1 is the best.
    """
    complete = ~np.isnan(accuracies).any(axis=1)
    ranks = pd.DataFrame(accuracies[complete]).round(6).rank(axis=1, ascending=False).to_numpy()
    chosen = blocks[:, complete].astype(float)
    counts = chosen.sum(axis=1, keepdims=True)
    return np.divide(chosen @ ranks, counts, out=np.full((len(blocks), ranks.shape[1]), np.nan), where=counts > 0)


def verdicts(accuracies: Array, blocks: Array) -> Array:
    """Each block's verdict on each pair of methods: 1 the later one is better, -1 the earlier one, 0 not told apart.

    Arguments as for `mean_ranks`.

    Returns:
        (blocks, pairs), the pairs in the order of `combinations`.
    """
    pairs = combinations(range(accuracies.shape[1]), 2)
    gains = np.stack([np.round(accuracies[:, later] - accuracies[:, earlier], 6) for earlier, later in pairs], axis=1)
    chosen = blocks.astype(float)
    wins, losses = (chosen @ (gains > 0)).astype(int), (chosen @ (gains < 0)).astype(int)
    # The test is made once for each outcome that occurs.
    outcomes, of_each = np.unique(wins * (len(accuracies) + 1) + losses, return_inverse=True)
    tallies = (divmod(int(outcome), len(accuracies) + 1) for outcome in outcomes)
    told = np.array([binomial(won, won + lost) <= LEVEL for won, lost in tallies])
    return np.sign(wins - losses) * told[of_each].reshape(wins.shape)


@dataclass(frozen=True)
class Conclusions:
    """What each block of a grid says, by architecture; the last block is all of the grid.

    Attributes:
        blocks: (blocks, datasets, conditions).
        ranks, verdicts: as `mean_ranks` and `verdicts` return them.
        hours: (blocks,).
    """

    grid: Grid
    blocks: Array
    ranks: Mapping[str, Array]
    verdicts: Mapping[str, Array]
    hours: Mapping[str, Array]

    @classmethod
    def of(cls, grid: Grid) -> Conclusions:
        """Those of every product of some datasets and some conditions."""
        datasets, conditions = _choices(len(grid.datasets)), _choices(len(grid.conditions))
        blocks = (datasets[:, None, :, None] & conditions[None, :, None, :]).reshape(
            -1, len(grid.datasets), len(grid.conditions)
        )
        flat = blocks.reshape(len(blocks), -1)
        settings = {model: values.reshape(flat.shape[1], -1) for model, values in grid.accuracies.items()}
        return cls(
            grid,
            blocks,
            {model: mean_ranks(values, flat) for model, values in settings.items()},
            {model: verdicts(values, flat) for model, values in settings.items()},
            {model: blocks.sum(axis=2) @ hours for model, hours in grid.hours.items()},
        )

    def cost(self, whole: Sequence[str]) -> Array:
        """GPU-hours of the study with each block: (blocks,)."""
        return _of_studies(whole, self.hours).sum(axis=0)

    def apart(self, whole: Sequence[str], others: Conclusions) -> Array:
        """How far the study with each block is from all settings of another grid: (2, blocks), NaN where not known.

        First by how much a mean rank differs, then the share of pairs with another verdict.

        Args:
            whole: the architectures that keep all settings of this grid.
        """
        ranks = {name: np.abs(found - others.ranks[name][-1]).mean(axis=1) for name, found in self.ranks.items()}
        marks = {name: (found != others.verdicts[name][-1]).mean(axis=1) for name, found in self.verdicts.items()}
        return np.stack([_of_studies(whole, each).mean(axis=0) for each in (ranks, marks)])


def _of_studies(whole: Sequence[str], values: Mapping[str, Array]) -> Array:
    """Values of blocks by architecture, with that of all settings in their place for the `whole` ones."""
    return np.stack([np.full_like(each, each[-1]) if model in whole else each for model, each in values.items()])


def _choices(count: int) -> Array:
    """Every non-empty choice of `count` things, the choice of all last."""
    return np.array(list(product([False, True], repeat=count)))[1:]


@dataclass(frozen=True)
class Study:
    """A study of two blocks: `whole` architectures with all settings, the others with the block in this place."""

    whole: tuple[str, ...]
    place: int


def choose(conclusions: Conclusions, bound: float) -> Study:
    """The study within `bound` GPU-hours whose conclusions are nearest to those of all settings."""
    models = tuple(conclusions.ranks)
    best: tuple[float, float, Study] | None = None
    for count in range(len(models)):
        for whole in combinations(models, count):
            cost = conclusions.cost(whole)
            distance = np.where(cost <= bound, conclusions.apart(whole, conclusions).sum(axis=0), np.inf).round(9)
            place = int(np.lexsort((cost, distance))[0])
            found = (float(distance[place]), float(cost[place]), Study(whole, place))
            if np.isfinite(found[0]) and (best is None or found[:2] < best[:2]):
                best = found
    if best is None:
        raise ValueError(f"no study costs {bound} GPU-hours or less")
    return best[2]


def cheapest_datasets(conclusions: Conclusions, whole: Sequence[str], bound: float) -> int:
    """The place of the block with as many datasets as the bound has room for, cheapest first, under all conditions."""
    order = np.argsort(np.sum(list(conclusions.grid.hours.values()), axis=0), kind="stable")
    cost, places = conclusions.cost(whole), []
    for count in range(1, len(order) + 1):
        wanted = np.zeros_like(conclusions.blocks[0])
        wanted[order[:count]] = True
        places.append(int(np.flatnonzero((conclusions.blocks == wanted).all(axis=(1, 2)))[0]))
    return [place for place in places if cost[place] <= bound][-1]


def about_as_costly(conclusions: Conclusions, whole: Sequence[str], bound: float) -> Array:
    """The places of the blocks that cost about as much as the bound allows."""
    cost = conclusions.cost(whole)
    usable = np.isfinite(conclusions.apart(whole, conclusions)[0])
    return np.flatnonzero((cost <= bound) & (cost >= ABOUT * bound) & usable)
