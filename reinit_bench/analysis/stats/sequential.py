"""Looks at paired differences, one after the other: p-values that hold whenever one stops, and the words they allow.

At a look a paired t test gives a two-sided p, which becomes z. C is the largest over the looks so far of z times the
root of that look's share of the last one's seeds; the repeated p is the chance that the largest such value over all
looks reaches C if there is no effect (O'Brien and Fleming's boundaries). The direction is that of the look of C.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from reinit_bench.core.settings import ConfigError

Setting = TypeVar("Setting", bound=Hashable)
Contrast = tuple[str, str | tuple[str, ...]]
"""An arm and the one it is held against; of several, the one with the better validation accuracy of its trials."""

CANNOT = "cannot be told"
LARGEST = 9.0
"""C beyond this counts as this."""
_NODES = 96


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A study's `sequential:` part.

    Attributes:
        contrasts: which arms are compared.
        looks: at how many seeds, ascending; seeds are 0, 1 and so on.
        boundaries: z at each look at which no effect is rejected at `level`.
        margin: the smallest difference worth having, in points of test accuracy.
        level: of the two-sided tests over all looks; against the margin half of it.
        families: rules like those of `exclude`: the settings that match the first of them are tested and corrected
            together, before those of the next one begin; without any, all settings are one family.
    """

    contrasts: tuple[Contrast, ...]
    looks: tuple[int, ...]
    boundaries: tuple[float, ...]
    margin: float
    level: float = 0.05
    families: tuple[Mapping[str, Any], ...] = ({},)

    @classmethod
    def from_dict(cls, section: Mapping[str, Any], label: str) -> Rule:
        """The rule as it is written.

        Raises:
            ConfigError: a part is missing, or the boundaries are not those of the looks and the level.
        """
        keys = ("contrasts", "looks", "boundaries", "margin", "level", "families")
        if not isinstance(section, Mapping) or not set(keys[:4]) <= set(section) <= set(keys):
            raise ConfigError(f"{label}: sequential must have {', '.join(keys[:4])}, and may have level and families")
        try:
            contrasts = tuple((str(a), tuple(b) if isinstance(b, list) else str(b)) for a, b in section["contrasts"])
            looks, given = tuple(map(int, section["looks"])), tuple(map(float, section["boundaries"]))
            margin, level = float(section["margin"]), float(section.get("level", 0.05))
            families = tuple(dict(one) for one in section.get("families") or [{}])
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{label}: sequential cannot be read: {error}") from error
        if not looks or looks[0] < 2 or list(looks) != sorted(set(looks)):
            raise ConfigError(f"{label}: sequential.looks must be ascending numbers of seeds from 2; got {list(looks)}")
        found = boundaries_of(looks, level)
        if len(given) != len(found) or any(abs(a - b) > 0.002 for a, b in zip(given, found, strict=True)):
            words = ", ".join(f"{one:.3f}" for one in found)
            raise ConfigError(f"{label}: sequential.boundaries of these looks at {level:g} are [{words}]")
        return cls(contrasts=contrasts, looks=looks, boundaries=given, margin=margin, level=level, families=families)

    def family_of(self, setting: Mapping[str, Any]) -> int | None:
        """The number of the first family that the setting matches, by its axes as typed."""
        for number, rule in enumerate(self.families):
            if all(axis in setting and setting[axis] in _as_list(values) for axis, values in rule.items()):
                return number
        return None

    def differences(
        self, tests: Mapping[str, Sequence[float]], validation: Mapping[str, float]
    ) -> dict[Contrast, np.ndarray]:
        """In points, by contrast, of the seeds that both arms have: those that either has to spare are left out.

        Args:
            tests: each arm's test accuracies of seeds 0, 1 and so on.
            validation: the mean validation accuracy of each arm's chosen trials.
        """
        found: dict[Contrast, np.ndarray] = {}
        for arm, reference in self.contrasts:
            others = [one for one in ((reference,) if isinstance(reference, str) else reference) if one in tests]
            if arm in tests and others:
                other = max(others, key=validation.__getitem__)
                both = min(len(tests[arm]), len(tests[other]))
                found[arm, reference] = 100 * np.subtract(tests[arm][:both], tests[other][:both])
        return found


def _as_list(values: Any) -> list[Any]:
    return list(values) if isinstance(values, (list, tuple)) else [values]


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the looks say of one contrast in one setting.

    Attributes:
        n: pairs at the setting's last look.
        mean, deviation: of the differences, in points.
        margin: how far the repeated 95% interval reaches to each side: it holds over looks, not over settings.
        p: the repeated p-value of no effect; `p_holm`: after Holm's correction over the family.
        words: `shown` or `worse`; `smaller than 0.3` or `equivalent`; or `cannot be told`.
    """

    n: int
    mean: float
    deviation: float
    margin: float
    p: float
    p_holm: float
    words: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Followed:
    """A family of settings, followed through its looks.

    Attributes:
        judgements: by setting and contrast; none before the first look.
        looked: how many seeds of each setting were looked at.
        wanted: how many each setting that goes on needs for its next look; empty where the family has ended.
    """

    judgements: Mapping[tuple[Any, Contrast], Judgement]
    looked: Mapping[Any, int]
    wanted: Mapping[Any, int]


def follow(differences: Mapping[Setting, Mapping[Contrast, np.ndarray]], rule: Rule) -> Followed:
    """Look at a family as often as the seeds of all of its settings that go on allow it.

    Args:
        differences: in points, of seeds 0, 1 and so on, by setting and contrast.
    """
    open_settings, looked = list(differences), dict.fromkeys(differences, 0)
    judgements: dict[tuple[Setting, Contrast], Judgement] = {}
    for n in rule.looks:
        wanted = dict.fromkeys(open_settings, n)
        if any(len(values) < n for one in open_settings for values in differences[one].values()):
            return Followed(judgements=judgements, looked=looked, wanted=wanted)
        looked = {**looked, **wanted}
        judgements = judged(differences, looked, rule)
        undecided = {one for (one, _), found in judgements.items() if found.words == (CANNOT,)}
        open_settings = [one for one in open_settings if one in undecided]
        if not open_settings:
            break
    return Followed(judgements=judgements, looked=looked, wanted={})


def judged(
    differences: Mapping[Setting, Mapping[Contrast, np.ndarray]], looked: Mapping[Setting, int], rule: Rule
) -> dict[tuple[Setting, Contrast], Judgement]:
    """Each contrast of each setting at the number of pairs that was looked at; Holm over tests of one reference."""
    from reinit_bench.analysis.stats.significance import holm  # pandas: a run does without it

    found: dict[tuple[Setting, Contrast], Judgement] = {}
    tests = [(one, contrast) for one in differences for contrast in differences[one]]
    for reference in dict.fromkeys(contrast[1] for _, contrast in tests):
        own = [(one, contrast) for one, contrast in tests if contrast[1] == reference]
        values = [np.asarray(differences[one][contrast][: looked[one]], dtype=float) for one, contrast in own]
        p, signs, smaller, larger = zip(*(evidence(part, rule) for part in values), strict=True)
        corrected = [holm(list(map(float, each))) for each in (p, smaller, larger)]
        for place, part in enumerate(values):
            p_holm, p_smaller, p_larger = (each[place] for each in corrected)
            found[own[place]] = Judgement(
                n=len(part),
                mean=float(part.mean()),
                deviation=float(part.std(ddof=1)),
                margin=interval_margin(part, rule),
                p=float(p[place]),
                p_holm=p_holm,
                words=words(p_holm, float(signs[place]), p_smaller, p_larger, rule),
            )
    return found


def evidence(differences: np.ndarray, rule: Rule) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of differences along the last axis: p of no effect and its direction; p of an effect of the margin or more, and
    of minus the margin or less: half the repeated p where the mean is on the other side of it, else 1.
    """
    reached, signs = largest(differences, rule.looks)
    above, below = (largest(differences - effect, rule.looks) for effect in (rule.margin, -rule.margin))
    fractions = _fractions(rule.looks)
    smaller, larger = repeated_p(above[0], fractions) / 2, repeated_p(below[0], fractions) / 2
    return (
        repeated_p(reached, fractions),
        signs,
        np.where(above[1] < 0, smaller, 1.0),
        np.where(below[1] > 0, larger, 1.0),
    )


def words(p_holm: float, sign: float, p_smaller: float, p_larger: float, rule: Rule) -> tuple[str, ...]:
    """What may be said with these p-values, each after Holm's correction."""
    found = []
    if p_holm <= rule.level and sign:
        found.append("shown" if sign > 0 else "worse")
    if p_smaller <= rule.level / 2:
        if p_larger <= rule.level / 2:
            found.append("equivalent")
        elif "worse" not in found:  # which says it already
            found.append(f"smaller than {rule.margin:g}")
    return tuple(found) or (CANNOT,)


def largest(differences: np.ndarray, looks: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """C over the looks for which there are differences along the last axis, and the direction of its look."""
    from scipy.stats import norm, t

    reached = np.zeros(differences.shape[:-1])
    signs = np.zeros(differences.shape[:-1])
    for n in (n for n in looks if n <= differences.shape[-1]):
        mean, error = differences[..., :n].mean(-1), differences[..., :n].std(-1, ddof=1) / np.sqrt(n)
        # Without any spread a difference is certain, and none is none.
        statistic = np.divide(np.abs(mean), error, out=np.where(mean == 0, 0.0, np.inf), where=error > 0)
        value = np.minimum(norm.isf(t.sf(statistic, n - 1)) * np.sqrt(n / looks[-1]), LARGEST)
        signs = np.where(value > reached, np.sign(mean), signs)
        reached = np.maximum(value, reached)
    return reached, signs


def repeated_p(reached: np.ndarray | float, fractions: tuple[float, ...]) -> np.ndarray:
    """The chance that the largest value over all looks reaches this without any effect."""
    return np.exp(_log_chance(fractions)(np.minimum(reached, LARGEST)))


def boundaries_of(looks: tuple[int, ...], level: float) -> tuple[float, ...]:
    """z at each look from which no effect is rejected."""
    from scipy.optimize import brentq

    fractions = _fractions(looks)
    reached = brentq(lambda c: float(repeated_p(c, fractions)) - level, 0.0, LARGEST)
    return tuple(reached / np.sqrt(fraction) for fraction in fractions)


def interval_margin(differences: np.ndarray, rule: Rule) -> float:
    """Half the width of the repeated interval at the look with as many pairs."""
    from scipy.stats import norm, t

    n = len(differences)
    quantile = t.isf(norm.sf(rule.boundaries[rule.looks.index(n)]), n - 1)
    return float(quantile * differences.std(ddof=1) / np.sqrt(n))


def over_settings_p(by_seed: np.ndarray) -> float:
    """Two-sided p of the mean over settings, signs flipped by whole seeds; `by_seed`: differences (seeds, settings)."""
    means = by_seed.mean(axis=1)
    flips = 1 - 2 * ((np.arange(2 ** len(means))[:, None] >> np.arange(len(means))) & 1)
    return float(np.mean(np.abs(flips @ means) >= abs(means.sum()) - 1e-12))


def _fractions(looks: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(n / looks[-1] for n in looks)


@cache
def _log_chance(fractions: tuple[float, ...]) -> Callable[[Any], np.ndarray]:
    """The log of `repeated_p` as a curve through values that are integrated look after look.

    Without an effect, z times the root of its share is a Brownian motion at that share, so that the normal of all looks
    is a chain of steps.
    """
    from scipy.interpolate import CubicSpline
    from scipy.stats import norm

    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    limits = np.linspace(0, LARGEST, 226)[1:, None]
    places, shares = limits * nodes, limits * weights
    density = norm.pdf(places, scale=np.sqrt(fractions[0]))
    for before, now in pairwise(fractions):
        steps = norm.pdf(places[:, :, None] - places[:, None, :], scale=np.sqrt(now - before))
        density = np.einsum("ci,cij->cj", density * shares, steps)
    # The last look alone bounds it from below: far out the difference from 1 has no digits left.
    chance = np.maximum(1 - (density * shares).sum(axis=1), 2 * norm.sf(limits[:, 0]))
    return CubicSpline(np.concatenate([[0.0], limits[:, 0]]), np.concatenate([[0.0], np.log(chance)]))
