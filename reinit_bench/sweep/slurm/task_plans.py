"""How a sweep is cut into array tasks: runs that share their data and model, up to a target time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from reinit_bench.sweep.plan import PlannedRun
from reinit_bench.sweep.slurm.options import Options, Resources


@dataclass(frozen=True)
class TaskPlan:
    """The runs of one array task.

    Attributes:
        seconds: how long one worker is expected to take for them.
        sharing: how many workers share a GPU.
    """

    runs: tuple[PlannedRun, ...]
    seconds: float
    sharing: int = 1


def plan_tasks(
    runs: Sequence[PlannedRun], options: Options, seconds_of: Callable[[PlannedRun, Resources], float]
) -> list[tuple[Resources, list[TaskPlan]]]:
    """Pack runs into tasks, and group the tasks by what they request and how many share a GPU: an array for each group.

    A worker keeps its data and its compiled model from run to run, so a task's runs share dataset, model, image size,
    batch size and precision. The longest tasks come first, so that a sweep does not end waiting for a long one.

    Args:
        seconds_of: the expected seconds of a run on given resources.
    """
    groups: dict[str, tuple[Resources, int, list[tuple[PlannedRun, float]]]] = {}
    for run in runs:
        resources, sharing = options.resources(run.experiment), options.sharing(run.experiment)
        key = json.dumps([asdict(resources), sharing, _shared(run)], sort_keys=True)
        groups.setdefault(key, (resources, sharing, []))[2].append((run, seconds_of(run, resources)))
    classes: dict[tuple[Resources, int], list[TaskPlan]] = {}
    for resources, sharing, timed in groups.values():
        workers = options.workers or max(resources.gpu_count, 1) * sharing
        filled = _filled(timed, options.target_minutes * 60.0 * workers)
        classes.setdefault((resources, sharing), []).extend(replace(task, sharing=sharing) for task in filled)
    return [(each, sorted(tasks, key=lambda task: -task.seconds)) for (each, _), tasks in classes.items()]


def _shared(run: PlannedRun) -> list[object]:
    """What all runs of a task have in common."""
    e = run.experiment
    size = (e.image_size, e.precision, e.trainer.batch_size, e.model.get("width"))
    return [e.dataset["name"], e.dataset.get("train_examples"), e.model["name"], *size]


def _filled(timed: Sequence[tuple[PlannedRun, float]], target_seconds: float) -> list[TaskPlan]:
    """Tasks of at most `target_seconds`, in order; a run that is longer is a task by itself."""
    tasks: list[TaskPlan] = []
    runs: list[PlannedRun] = []
    total = 0.0
    for run, seconds in timed:
        if runs and total + seconds > target_seconds:
            tasks.append(TaskPlan(tuple(runs), total))
            runs, total = [], 0.0
        runs.append(run)
        total += seconds
    return [*tasks, TaskPlan(tuple(runs), total)]
