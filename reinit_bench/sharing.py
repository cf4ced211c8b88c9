"""Which runs of a sweep may have rounds in common, told from their configurations. Knows no torch.

Whether two rounds are the same is decided by `trunks`, from what determines them. This only says for whom it can be
worth while to keep one, in which order runs are best taken, and what a plan may count on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from reinit_bench.config import Experiment

FOLDER = "trunks"
"""Below the results folder: finished shared rounds, a folder a group."""


@dataclass(frozen=True, kw_only=True)
class Others:
    """How many runs that still wait in the same sweep may want this run's rounds."""

    first_round: int = 0
    """Of the group, and not known to begin with another network."""
    same_settings: int = 0
    """Of these, the same method with the same settings: another step budget."""
    same_method: int = 0
    """Of these, the same method by name with other settings: a variant."""


def trunks_dir(results_dir: Path) -> Path:
    """Where the groups' folders are."""
    return Path(results_dir) / FOLDER


def trunk_folder(results_dir: Path, experiment: Experiment) -> Path:
    """Where the finished shared rounds of a run's group lie."""
    return trunks_dir(results_dir) / experiment.group_id


def first_round_of(experiment: Experiment) -> str | None:
    """What the method does before round 1, as far as its yaml tells; equal ones of a group have the same first round.

    `_first_round_` lists the method's fields that decide it: with none of them it begins with the untouched network,
    whatever the method's name. None: the yaml does not say.
    """
    declared = experiment.method.get("_first_round_")
    if declared is None:
        return None
    name = [experiment.method["name"]] if declared else []
    return json.dumps([*name, {key: experiment.method.get(key) for key in declared}], sort_keys=True, default=list)


def settings_of(experiment: Experiment) -> str:
    """The method with all its settings."""
    return json.dumps(experiment.identity["method"], sort_keys=True, default=list)


def family_of(experiment: Experiment) -> tuple[str, str]:
    """Equal for runs that are sure to have the same first round."""
    return experiment.group_id, first_round_of(experiment) or settings_of(experiment)


def round_limit(experiment: Experiment) -> int:
    """Most steps of the run's first round; a method that has a number of rounds of its own shares out all steps."""
    method, limit = experiment.method, experiment.trainer.max_steps
    rounds = int(experiment.model.get("_blocks_") or 1) * int(method.get("repeats") or 1)
    return limit * rounds // int(method["_rounds_"]) if method.get("_rounds_") else limit


def others_of(run: Experiment, waiting: Iterable[Experiment]) -> Others:
    """Who among `waiting` may want rounds of `run`."""
    group = [other for other in waiting if other.group_id == run.group_id and other.run_id != run.run_id]
    mine, settings = first_round_of(run), settings_of(run)
    useful = [other for other in group if None in (mine, first_round_of(other)) or mine == first_round_of(other)]
    same = [other for other in useful if settings_of(other) == settings]
    named = [other for other in useful if other.method["name"] == run.method["name"]]
    return Others(first_round=len(useful), same_settings=len(same), same_method=len(named) - len(same))
