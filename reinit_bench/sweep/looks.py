"""Sequential studies: each setting is tuned, then looked at with more and more seeds until its contrasts have a word.

Tuning: for the first number of steps of `{least: [...], train_accuracy: A}`, every combination of `{tune: [...]}` is
tried by each arm with the study's tuning seeds, and the best by validation is chosen. Where a best lies at an end of a
grid that may `grow`, the value beyond that end is tried too, once, by all arms of the setting. If the chosen trials of
every arm end with a mean training accuracy of A or more, these are the steps; else the next number is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reinit_bench.analysis.stats.sequential import Contrast, Rule, follow
from reinit_bench.analysis.stats.tuning import DIVERGED, best
from reinit_bench.core.settings import ConfigError
from reinit_bench.sweep.trials import SEED, Candidates, Found, Least, Point, combinations

ARM = "method"


ResultOf = Callable[[Point], Found | None]
"""What a run ended with; None: it has not ended."""

Guess = Literal["least", "most"]
"""How to go on where results are missing, to count runs: with as few as may be, or with as many."""


@dataclass
class _Arm:
    """An arm of a setting: its point, with what is to be chosen, the seeds of its trials, and what these chose."""

    point: Point
    seeds: Sequence[int]
    chosen: Point | None = None
    validation: float = DIVERGED
    train: float = 0.0
    ends: frozenset[int] = frozenset()
    """At which ends of a grid that may grow its best lies: 0, 1."""


def looks(
    points: Iterable[Point], rule: Rule, seeds: Sequence[int], result_of: ResultOf, guess: Guess | None = None
) -> tuple[list[Point], bool]:
    """The runs that are known to be needed, in order, and whether more may follow; with a guess all that there may be.

    Args:
        points: one for each arm of each setting; their seeds are not looked at.
        seeds: of the trials.

    Raises:
        ConfigError: a setting belongs to no family, or has no contrast.
    """
    known: list[Point] = []
    for family in _families(points, rule, seeds):
        ended = []
        for arms in family:
            trials, has_ended = _tune(arms, result_of, guess)
            known += trials
            ended += [arms] if has_ended else []
        wanted = dict.fromkeys(range(len(ended)), rule.looks[0])
        is_open = len(ended) < len(family)
        if not is_open:
            followed = follow(dict(enumerate(_differences(arms, rule, result_of) for arms in family)), rule)
            more = dict.fromkeys(followed.wanted, rule.looks[-1]) if guess == "most" else followed.wanted
            wanted, is_open = {**followed.looked, **more}, bool(followed.wanted)
        for place, n in wanted.items():
            known += [{**arm.point, **(arm.chosen or {}), SEED: seed} for seed in range(n) for arm in ended[place]]
        if is_open and guess is None:
            return known, True
    return known, False


def _families(points: Iterable[Point], rule: Rule, seeds: Sequence[int]) -> Iterator[list[list[_Arm]]]:
    """The arms of each setting, by family: settings differ in a plain axis that is neither the method nor its own."""
    found: dict[int, dict[str, list[_Arm]]] = {}
    for point in points:
        plain = {axis: value for axis, value in point.items() if not isinstance(value, Candidates | Least)}
        setting = {axis: value for axis, value in plain.items() if axis.partition(".")[0] not in (ARM, SEED)}
        family = rule.family_of(plain)
        if family is None:
            raise ConfigError(f"sequential.families: none of them has the setting {setting}")
        found.setdefault(family, {}).setdefault(repr(sorted(setting.items(), key=repr)), []).append(_Arm(point, seeds))
    for family in sorted(found):
        yield list(found[family].values())


def _tune(arms: Sequence[_Arm], result_of: ResultOf, guess: Guess | None) -> tuple[list[Point], bool]:
    """The setting's trials so far, and whether they have chosen for all of its arms."""
    least = next(((axis, value) for axis, value in arms[0].point.items() if isinstance(value, Least)), None)
    if least is None:
        return _try(arms, {}, result_of, guess)
    known: list[Point] = []
    axis, levels = least
    for value in levels.values:
        trials, has_ended = _try(arms, {axis: value}, result_of, guess)
        known += trials
        if not has_ended:
            return known, False
        if all(arm.train >= levels.train_accuracy for arm in arms):
            break
    return known, True


def _try(arms: Sequence[_Arm], given: Point, result_of: ResultOf, guess: Guess | None) -> tuple[list[Point], bool]:
    """Trials at given steps, and whether they have ended: of the grids, then grown where a best lies at an end."""
    ends: frozenset[int] = frozenset()
    while True:
        known = [trial for arm in arms for trial in _choose(arm, given, ends, result_of, guess)]
        if any(arm.chosen is None for arm in arms):
            return known, False
        found = frozenset().union(*(arm.ends for arm in arms))
        if ends or not found:
            return known, True
        ends = found


def _choose(arm: _Arm, given: Point, ends: frozenset[int], result_of: ResultOf, guess: Guess | None) -> list[Point]:
    """The arm's trials but for those that diverged; sets what they have chosen, nothing where one has not ended."""
    axes = {axis: value for axis, value in arm.point.items() if isinstance(value, Candidates)}
    if not axes and not given:
        arm.chosen = {}
        return []
    tried = list(combinations({axis: candidates.grown(ends) for axis, candidates in axes.items()}))
    trials = [[{**arm.point, **given, **values, SEED: seed} for seed in arm.seeds] for values in tried]
    found = [[result_of(trial) for trial in own] for own in trials]
    chosen = best([(place, [one and one.validation for one in own]) for place, own in enumerate(found)])
    if chosen is None and guess is not None:
        place = len(tried) // 2
        arm.chosen, arm.train = {**given, **tried[place]}, float(guess == "least")
        arm.ends = frozenset((0, 1) if guess == "most" and any(one.beyond for one in axes.values()) else ())
    elif chosen is None:
        arm.chosen = None
    else:
        ended = [one for one in found[chosen] if one is not None]
        arm.chosen = {**given, **tried[chosen]}
        arm.validation = sum(one.validation for one in ended) / len(ended)
        arm.train = sum(one.train for one in ended) / len(ended)
        arm.ends = frozenset(end for axis, one in axes.items() for end in one.ends_at(tried[chosen][axis]))
    return [
        trial
        for own, results in zip(trials, found, strict=True)
        for trial, one in zip(own, results, strict=True)
        if one is None or one.validation != DIVERGED
    ]


def _differences(arms: Sequence[_Arm], rule: Rule, result_of: ResultOf) -> dict[Contrast, np.ndarray]:
    """In points, by contrast, of seeds 0, 1 and so on as far as both arms have ended."""
    by_method = {arm.point[ARM]: arm for arm in arms}
    tests = {name: list(_tests(arm, rule, result_of)) for name, arm in by_method.items()}
    validation = {name: arm.validation for name, arm in by_method.items()}
    found = rule.differences(tests, validation)
    if not found:
        raise ConfigError(f"sequential.contrasts: none of them is of the arms {', '.join(by_method)}")
    return found


def _tests(arm: _Arm, rule: Rule, result_of: ResultOf) -> Iterator[float]:
    for seed in range(rule.looks[-1]):
        one = result_of({**arm.point, **(arm.chosen or {}), SEED: seed})
        if one is None or one.test is None:
            return
        yield one.test
