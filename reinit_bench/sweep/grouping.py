"""Runs by dataset, model and the conditions that vary among them, for `plan` and `status`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reinit_bench.core.config import Experiment
from reinit_bench.sweep.plan import PlannedRun

CONDITIONS: Mapping[str, Any] = {
    "dataset.builder": None,
    "dataset.label_noise": 0.0,
    "dataset.clean_validation": False,
    "dataset.imbalance": 1.0,
    "dataset.growth": None,
    "model.arch": None,
    "model.norm": "group",
    "augmentation.name": None,
    "dropout.name": None,
    "initializer.name": None,
    "trainer.optimizer": "sgd",
    "trainer.schedule": "plateau",
}
"""Fields that make a condition, with what their absence in an older configuration means."""

MOST_GROUPS = 60
"""With more groups than this, conditions are left out: a table must be read at a glance."""


def grouped(runs: Sequence[PlannedRun]) -> tuple[tuple[str, ...], dict[tuple[str, ...], list[PlannedRun]]]:
    """The names of what tells the groups apart (`dataset`, `model`, varying conditions), and each group's runs."""
    described = [_conditions(run.experiment) for run in runs]
    varying = [name for name in CONDITIONS if len({values[name] for values in described}) > 1]
    names = ("dataset", "model", *map(_heading, varying))
    groups = _by_key(runs, ([values[name] for name in varying] for values in described))
    if len(groups) > MOST_GROUPS and varying:
        return ("dataset", "model"), _by_key(runs, ([] for _ in runs))
    return names, groups


def _by_key(runs: Iterable[PlannedRun], conditions: Iterable[Sequence[str]]) -> dict[tuple[str, ...], list[PlannedRun]]:
    groups: dict[tuple[str, ...], list[PlannedRun]] = {}
    for run, values in zip(runs, conditions, strict=True):
        key = (run.experiment.dataset["name"], run.experiment.model["name"], *values)
        groups.setdefault(key, []).append(run)
    return groups


def _conditions(experiment: Experiment) -> dict[str, str]:
    found = {}
    for name, absent in CONDITIONS.items():
        section, _, field = name.partition(".")
        part = getattr(experiment, section)
        value = part.get(field, absent) if isinstance(part, Mapping) else getattr(part, field)
        found[name] = _typed(value)
    return found


def _typed(value: Any) -> str:
    """A value as a user types it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_typed, value))}]"
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def _heading(name: str) -> str:
    """`dataset.label_noise` is headed `label noise`, `augmentation.name` `augmentation`."""
    section, _, field = name.partition(".")
    return section if field == "name" else field.replace("_", " ")
