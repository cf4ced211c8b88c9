"""Table 3's test: the exact binomial test of two methods over settings, with Holm's correction (Demsar 2006)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations

import numpy as np
import pandas as pd

LEVEL = 0.05
"""The paper's 95% confidence level."""


@dataclass(frozen=True, kw_only=True)
class ExactTest:
    """The exact binomial test in one interpretation; the paper does not say which it uses.

    Attributes:
        one_sided: test that the method wins more than half, rather than any difference.
        split_ties: give half of the ties to each (Demsar 2006; an odd one is dropped), rather than drop them.
    """

    one_sided: bool = False
    split_ties: bool = False

    def __str__(self) -> str:
        sides = "one-sided" if self.one_sided else "two-sided"
        return f"{sides}, ties {'split' if self.split_ties else 'dropped'}"

    @property
    def fewest_settings(self) -> int:
        """How many settings significance needs at least: all won, they are just significant."""
        return next(n for n in range(1, 100) if binomial(n, n, one_sided=self.one_sided) <= LEVEL)

    def p_value(self, wins: int, losses: int, ties: int) -> float:
        """The p-value of this outcome."""
        half = ties // 2 if self.split_ties else 0
        return binomial(wins + half, wins + losses + 2 * half, one_sided=self.one_sided)


def compare(frame: pd.DataFrame, methods: Sequence[str], test: ExactTest = ExactTest()) -> pd.DataFrame:
    """A row for each ordered pair of methods over the settings of one architecture: does `column` outperform `row`?

    `wins`, `losses` and `ties` are in how many settings it is better, worse and equal, `settings` all of these; in the
    `missing` ones one of the two has no result. `p` is that of the test; `p_holm` after Holm's correction over all
    pairs. `mark` is `circle`: significant after the correction too; `star`: before it only; or empty.

    Two-sided, a pair counts once for the correction (15 tests of 6 methods); one-sided, each direction is a test.
    `frame` has one row per setting and one column per method, NaN where there is no result.
    """
    counts = {pair: _counts(frame, *pair) for pair in permutations(methods, 2)}
    tests = [pair for pair in counts if test.one_sided or methods.index(pair[0]) < methods.index(pair[1])]
    raw = [test.p_value(*counts[pair][:3]) for pair in tests]
    p = dict(zip(tests, zip(raw, holm(raw), strict=True), strict=True))
    found = []
    for (row, column), (wins, losses, ties, missing) in counts.items():
        raw_p, p_holm = p.get((row, column)) or p[column, row]
        significant = wins > losses and raw_p <= LEVEL
        mark = ("circle" if p_holm <= LEVEL else "star") if significant else ""
        found.append((row, column, wins, losses, ties, missing, raw_p, p_holm, mark, wins + losses + ties))
    columns = ["row", "column", "wins", "losses", "ties", "missing", "p", "p_holm", "mark", "settings"]
    return pd.DataFrame(found, columns=columns)


def _counts(frame: pd.DataFrame, row: str, column: str) -> tuple[int, int, int, int]:
    difference = (frame[column] - frame[row]).to_numpy(dtype=float)
    # Sums of decimals: equal accuracies may differ in the last bit.
    signs = np.sign(np.round(difference, 6))
    return int((signs > 0).sum()), int((signs < 0).sum()), int((signs == 0).sum()), int(np.isnan(signs).sum())


@cache
def binomial(wins: int, n: int, *, one_sided: bool = False) -> float:
    """The p-value of the exact binomial test of `wins` of `n` against one half; 1 for n = 0."""
    from scipy.stats import binomtest  # takes a second to import: only who asks for this table waits

    return float(binomtest(wins, n, alternative="greater" if one_sided else "two-sided").pvalue) if n else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction of these p-values, in their order."""
    corrected, highest = [1.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected
