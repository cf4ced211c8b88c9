"""Which interpretation of the paper fits Table 1 better than the default: distances over all cells, with their errors.

An interpretation's distance is the root mean square, over the cells that it changes and the paper prints, of ours minus
the paper's in units of one spread per cell: sqrt(ours^2 + published^2), ours under the default, so that an
interpretation is not nearer for being noisier.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reinit_bench.analysis.frame import paper

DEFAULT = "default"
"""The interpretation that changes nothing."""

_DRAWS = 2000
_SURE = 2.0
"""Standard errors from which on two distances count as different."""

_Place = tuple[str, float]
"""Method and strength of the signal."""


@dataclass(frozen=True)
class Fit:
    """One interpretation and the default, over the same cells and seeds.

    Attributes:
        changed: the setting that is not at its default, as typed.
        cells: how many of Table 1's cells it changes.
        n: seeds, the fewest of a cell.
        default: distance of the default over these cells.
        interpretation: distance of the interpretation.
        error: standard error of the difference of the two: seeds are drawn anew in pairs, and each published mean anew
            with its published standard deviation, as if it were that of one run (the paper does not say of how many).
        by_seeds: the same by our seeds alone: what more of them could make smaller.
    """

    changed: str
    cells: int
    n: int
    default: float
    interpretation: float
    error: float
    by_seeds: float

    @property
    def words(self) -> str:
        """What follows."""
        gain = self.interpretation - self.default
        if abs(gain) <= _SURE * self.error:
            return "cannot be told apart"
        return "fits better" if gain < 0 else "fits worse"


def fits(runs: pd.DataFrame) -> list[Fit]:
    """Every interpretation next to the default; `runs` of a collection, with a column `changed`."""
    published = {
        (str(method), float(alpha)): (float(mean), float(std))
        for alpha, method, mean, std in paper.published(1).itertuples(index=False)
        if not math.isnan(mean)
    }
    cells: dict[str, dict[_Place, pd.Series]] = {}
    for (changed, method, alpha), group in runs.groupby(["changed", "method", "dataset.alpha"]):
        place = str(method), float(str(alpha))
        if place in published:
            cells.setdefault(str(changed), {})[place] = 100 * group.set_index("seed")["test_accuracy"]
    default = cells.pop(DEFAULT, {})
    found = [_fit(name, default, own, published) for name, own in sorted(cells.items())]
    return [one for one in found if one is not None]


def _fit(
    name: str,
    default: Mapping[_Place, pd.Series],
    own: Mapping[_Place, pd.Series],
    published: Mapping[_Place, tuple[float, float]],
) -> Fit | None:
    """Compare over the cells and seeds that both have; None where there are fewer than two."""
    places = [place for place in own if place in default]
    pairs = [pd.concat([default[place], own[place]], axis=1, join="inner").to_numpy() for place in places]
    fewest = min(map(len, pairs), default=0)
    if fewest < 2:
        return None
    means = np.array([pair.mean(0) for pair in pairs])
    theirs, spreads = np.array([published[place] for place in places]).T
    units = np.hypot([default[place].std() for place in places], spreads)
    at_default, at_own = map(float, _distances(means, theirs, units))
    generator = np.random.default_rng(0)
    drawn = np.stack([_resampled(pair, generator) for pair in pairs], axis=1)
    theirs_drawn = theirs + spreads * generator.standard_normal((_DRAWS, len(places)))
    error, by_seeds = (_spread_of_difference(_distances(drawn, them, units)) for them in (theirs_drawn, theirs))
    return Fit(name, len(places), fewest, at_default, at_own, error, by_seeds)


def _spread_of_difference(distances: np.ndarray) -> float:
    return float(np.diff(distances, axis=-1).std(ddof=1))


def _resampled(pair: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Means over seeds drawn with replacement, both columns with the same ones; shape (draws, 2)."""
    chosen = generator.integers(len(pair), size=(_DRAWS, len(pair)))
    return np.asarray(pair[chosen].mean(1))


def _distances(means: np.ndarray, theirs: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Root mean squares over cells, shape (..., 2); `means` has shape (..., cells, 2)."""
    off = (means - theirs[..., None]) / units[:, None]
    return np.asarray(np.sqrt((off**2).mean(-2)))
