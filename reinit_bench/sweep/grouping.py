"""Runs by dataset, model and the conditions that vary among them, for `plan` and `status`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    "augmentation": "none",
    "dropout": "none",
    "initializer": "he_normal",
    "trainer.optimizer": "sgd",
    "trainer.schedule": "plateau",
}
"""What makes a condition, as typed, with the usual value, which is not shown."""

MOST_GROUPS = 60
"""With more groups than this, conditions are left out: a table must be read at a glance."""

Groups = dict[tuple[str, ...], list[PlannedRun]]


def grouped(runs: Sequence[PlannedRun]) -> tuple[tuple[str, ...], Groups]:
    """What the groups are told apart by (`dataset`, `model` and, if some vary, `conditions`), and each group's runs.

    A group's conditions are those that vary among all runs, as typed: `dataset.label_noise=0.2 trainer.optimizer=sam`.
    """
    described = [{name: _typed(_value(run.experiment, name)) for name in CONDITIONS} for run in runs]
    varying = [name for name in CONDITIONS if len({values[name] for values in described}) > 1]
    usual = {name: _typed(CONDITIONS[name]) for name in varying}
    groups: Groups = {}
    for run, values in zip(runs, described, strict=True):
        words = " ".join(f"{name}={values[name]}" for name in varying if values[name] != usual[name])
        groups.setdefault((*_place(run), words), []).append(run)
    if varying and len(groups) <= MOST_GROUPS:
        return ("dataset", "model", "conditions"), groups
    without: Groups = {}
    for run in runs:
        without.setdefault(_place(run), []).append(run)
    return ("dataset", "model"), without


def _place(run: PlannedRun) -> tuple[str, str]:
    return run.experiment.dataset["name"], run.experiment.model["name"]


def _value(experiment: Experiment, name: str) -> Any:
    """A condition of an experiment; of an older one that lacks the field, what its absence meant."""
    section, _, field = name.partition(".")
    part = getattr(experiment, section)
    if name == "dataset.builder" and part.get("builder") == part["name"]:
        return None  # the dataset's name says it
    if not field:
        return part["name"]
    return part.get(field, CONDITIONS[name]) if isinstance(part, Mapping) else getattr(part, field)


def _typed(value: Any) -> str:
    """A value as a user types it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_typed, value))}]"
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
