"""Cutting a sweep into array tasks: runs that share their data and model, up to a target time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from reinit_bench.sweep.plan import PlannedRun
from reinit_bench.sweep.slurm.options import Options, Resources


@dataclass(frozen=True)
class Load:
    """What one array task runs, one after the other, and how long it is expected to take."""

    runs: tuple[PlannedRun, ...]
    seconds: float


def loads_by_class(
    runs: Sequence[PlannedRun], options: Options, seconds_of: Callable[[PlannedRun, Resources], float]
) -> list[tuple[Resources, list[Load]]]:
    """Pack runs into loads, and group the loads by the resources that they ask for: one array (or more) for each.

    A worker keeps its data and its compiled model from run to run, so a load's runs share dataset, model, image size,
    batch size and precision. The longest loads come first, so that a sweep does not end with one of them alone.

    Args:
        seconds_of: the expected time of a run on such resources.
    """
    groups: dict[str, tuple[Resources, list[tuple[PlannedRun, float]]]] = {}
    for run in runs:
        resources = options.resources(run.experiment)
        key = json.dumps([asdict(resources), _shared(run)], sort_keys=True)
        groups.setdefault(key, (resources, []))[1].append((run, seconds_of(run, resources)))
    classes: dict[Resources, list[Load]] = {}
    for resources, timed in groups.values():
        workers = options.workers or max(resources.gpus, 1)
        classes.setdefault(resources, []).extend(_filled(timed, options.target_minutes * 60.0 * workers))
    return [(each, sorted(loads, key=lambda load: -load.seconds)) for each, loads in classes.items()]


def _shared(run: PlannedRun) -> list[object]:
    """What all runs of a load have in common."""
    e = run.experiment
    size = (e.image_size, e.precision, e.trainer.batch_size, e.model.get("width"))
    return [e.dataset["name"], e.dataset.get("train_examples"), e.model["name"], *size]


def _filled(timed: Sequence[tuple[PlannedRun, float]], target_seconds: float) -> list[Load]:
    """Loads of at most `target_seconds`, in order; a run that is longer is alone."""
    loads: list[Load] = []
    runs: list[PlannedRun] = []
    total = 0.0
    for run, seconds in timed:
        if runs and total + seconds > target_seconds:
            loads.append(Load(tuple(runs), total))
            runs, total = [], 0.0
        runs.append(run)
        total += seconds
    return [*loads, Load(tuple(runs), total)]
