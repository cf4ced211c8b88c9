"""Jobs: what a worker takes at a time. Small runs that differ only in the seed are one job and train side by side.

Such runs train on the CPU, also where there is a GPU: a step of theirs is too small to fill one, and many seeds share
the overhead of a step.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.sweep.plan import PlannedRun

Job = tuple[PlannedRun, ...]
"""One piece of work: usually one run, otherwise several seeds of one experiment."""

MOST_SEEDS = 25
"""Maximum runs per job: with more, the buffers no longer fit the processor's cache and each run takes longer."""

OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")
"""The values of `trainer.optimizer` with which runs can train side by side: not `sam`, which takes two gradients."""

_MLP = "reinit_bench.models.mlp.Mlp"


def jobs_of(runs: Iterable[PlannedRun]) -> list[Job]:
    """Group runs that differ only in the seed and can be trained side by side; every other run is a job by itself.

    Jobs come in the order of their first runs.
    """
    groups: dict[str, list[PlannedRun]] = {}
    for run in runs:
        together = can_train_side_by_side(run.experiment, run.execution)
        groups.setdefault(_all_but_the_seed(run) if together else run.run_id, []).append(run)
    return [job for group in groups.values() for job in _split(group)]


def execution_of(run: PlannedRun) -> Execution:
    """How a worker carries a run out: as asked for, but on the CPU if it can train side by side."""
    if not can_train_side_by_side(run.experiment, run.execution):
        return run.execution
    return replace(run.execution, device="cpu")


def can_train_side_by_side(experiment: Experiment, execution: Execution) -> bool:
    """Whether `training.side_by_side` trains such a run exactly: a perceptron on vectors, all examples in each step.

    Runs that are logged to Weights & Biases are excluded: a logger follows one run at a time. So are methods that act
    while a round trains.
    """
    trainer, examples = experiment.trainer, experiment.dataset.get("train_examples")
    return (
        experiment.model.get("_target_") == _MLP
        and experiment.image_size is None
        and experiment.precision == "fp32"
        and not experiment.dropout["rate"]
        and not experiment.method.get("_hooks_")
        and isinstance(examples, int)
        and examples <= trainer.batch_size
        and trainer.validation_fraction == 0
        and experiment.dataset.get("validation_examples") is None
        and trainer.optimizer in OPTIMIZERS
        and trainer.schedule != "cosine"
        and trainer.warmup_steps == 0
        and execution.device != "cuda"
        and not _is_logged(str(execution.logger["name"]))
    )


@cache
def _is_logged(logger: str) -> bool:
    from reinit_bench.reporting.loggers import wandb_mode

    return wandb_mode(logger) is not None


def _all_but_the_seed(run: PlannedRun) -> str:
    rest = {key: value for key, value in run.to_dict().items() if key != "seed"}
    return json.dumps(rest, sort_keys=True)


def _split(group: list[PlannedRun]) -> Iterator[Job]:
    """Jobs of nearly equal size, so that none is left with only a few runs."""
    count = -(-len(group) // MOST_SEEDS)
    for number in range(count):
        yield tuple(group[number * len(group) // count : (number + 1) * len(group) // count])
