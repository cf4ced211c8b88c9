"""Packs: runs that a worker takes together. Small runs that differ only in their seed train side by side."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.sweep.plan import PlannedRun

Pack = tuple[PlannedRun, ...]
"""Runs served as one piece of work: most often one run, or seeds of one experiment."""

PACK_SIZE = 25
"""Most runs of a pack: with more, the buffers leave the processor's cache and a run takes longer."""

_MLP = "reinit_bench.models.mlp.Mlp"


def packs_of(runs: Iterable[PlannedRun], *, gpu: bool = False) -> list[Pack]:
    """Group runs that differ in nothing but the seed and can be trained side by side; every other run is alone.

    Packs come in the order of their first runs. On a GPU (`gpu`) all runs are alone.
    """
    groups: dict[str, list[PlannedRun]] = {}
    for run in runs:
        together = not gpu and can_share(run.experiment, Execution.from_dict(run.config))
        groups.setdefault(_all_but_the_seed(run) if together else run.run_id, []).append(run)
    return [pack for group in groups.values() for pack in _split(group)]


def can_share(experiment: Experiment, execution: Execution) -> bool:
    """Whether `training.batched` trains such a run exactly: a perceptron on vectors, its whole training set a step.

    Runs that are logged elsewhere too are left alone: loggers follow one run at a time.
    """
    trainer, examples = experiment.trainer, experiment.dataset.get("train_examples")
    return (
        experiment.model.get("_target_") == _MLP
        and experiment.image_size is None
        and experiment.precision == "fp32"
        and not experiment.dropout["rate"]
        and isinstance(examples, int)
        and examples <= trainer.batch_size
        and trainer.validation_fraction == 0
        and trainer.optimizer_between_rounds == "fresh"
        and execution.device != "cuda"
        and not _is_logged(str(execution.logger["name"]))
    )


@cache
def _is_logged(logger: str) -> bool:
    from reinit_bench.reporting.loggers import wandb_mode

    return wandb_mode(logger) is not None


def _all_but_the_seed(run: PlannedRun) -> str:
    rest = {key: value for key, value in run.config.items() if key not in ("seed", "study")}
    study = Execution.from_dict(run.config).study
    return json.dumps([rest, study], sort_keys=True, default=str)


def _split(group: list[PlannedRun]) -> Iterator[Pack]:
    """Packs of nearly the same size, so that none is left with a few runs."""
    count = -(-len(group) // PACK_SIZE)
    for number in range(count):
        yield tuple(group[number * len(group) // count : (number + 1) * len(group) // count])
