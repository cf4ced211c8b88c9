"""Tuned studies: settings that each arm's own trials choose by validation accuracy, before the runs that are reported.

An axis written `{tune: [...]}` has no value of its own. Each combination of such values is tried with the study's
`tuning_seeds`; the one with the highest mean validation accuracy is used for all other seeds. Trials are counted per
point, so that every arm of a comparison gets as many, chosen by the same rule.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from reinit_bench.analysis.stats.tuning import DIVERGED, best

SEED = "seed"

Point = dict[str, Any]
"""One run's place in a study: a group's option or a field's value for each axis."""

AccuracyOf = Callable[[Point], float | None]
"""The validation accuracy that a trial ended with, or DIVERGED; None: it has not ended."""


class Found(NamedTuple):
    """What a run ended with: accuracies as fractions; of one that diverged the validation accuracy is DIVERGED."""

    validation: float
    train: float = 0.0
    test: float | None = None


@dataclass(frozen=True)
class Candidates:
    """The value of an axis that is still to be chosen: what may be chosen, and the seeds of the trials.

    `beyond` are the values before and after these that a sequential study tries where a best lies at that end.
    """

    values: tuple[Any, ...]
    seeds: tuple[int, ...]
    beyond: tuple[Any, ...] = ()

    def grown(self, ends: Container[int]) -> tuple[Any, ...]:
        """With the values beyond these ends, 0 and 1."""
        more = [self.beyond[end : end + 1] if end in ends else () for end in (0, 1)]
        return (*more[0], *self.values, *more[1])

    def ends_at(self, value: Any) -> list[int]:
        """At which ends that may grow the value lies."""
        return [end for end, last in ((0, self.values[0]), (1, self.values[-1])) if self.beyond and value == last]


@dataclass(frozen=True)
class Least:
    """The value of an axis that is still to be chosen: the first with which all arms learn their training labels."""

    values: tuple[Any, ...]
    train_accuracy: float


@dataclass(frozen=True)
class Tuned:
    """A study's points, as far as they are known.

    Attributes:
        points: the trials but for those that diverged, then the points whose settings are chosen or given.
        waiting: how many points follow when their trials have ended.
    """

    points: list[Point]
    waiting: int


def tuned(points: Iterable[Point], accuracy_of: AccuracyOf) -> Tuned:
    """Put trials before the points that need them, and the best trial's values into those whose trials have ended."""
    trials: list[Point] = []
    known: list[Point] = []
    choices: dict[str, Point | None] = {}
    waiting = 0
    for point in points:
        axes = {axis: value for axis, value in point.items() if isinstance(value, Candidates)}
        if not axes:
            known.append(point)
            continue
        arm = repr(sorted((axis, repr(value)) for axis, value in point.items() if axis != SEED))
        if arm not in choices:
            seeds = next(iter(axes.values())).seeds
            tried: list[tuple[Point, list[float | None]]] = []
            for values in combinations({axis: candidates.values for axis, candidates in axes.items()}):
                own = [{**point, **values, SEED: seed} for seed in seeds]
                found = [accuracy_of(trial) for trial in own]
                trials += [trial for trial, accuracy in zip(own, found, strict=True) if accuracy != DIVERGED]
                tried.append((values, found))
            choices[arm] = best(tried)
        chosen = choices[arm]
        if chosen is None:
            waiting += 1
        else:
            known.append({**point, **chosen})
    return Tuned([*trials, *known], waiting)


def combinations(axes: Mapping[str, Sequence[Any]]) -> Iterator[Point]:
    """Every combination of the values of these axes."""
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))
