"""One round of several runs at once: multilayer perceptrons trained side by side with full batches."""

from __future__ import annotations

from collections.abc import Sequence, Set

from reinit_bench.core.config import Trainer
from reinit_bench.data.task import Task
from reinit_bench.kernels.many_mlps import Accumulated, Steps, train_mlps
from reinit_bench.kernels.update_rules import Adam, RmsProp, Sgd, UpdateRule
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.training.interrupt import Interrupt, Interrupted
from reinit_bench.training.optimizer import gradient_decay


def train_side_by_side(
    nets: Sequence[BlockNet],
    tasks: Sequence[Task],
    steps: int,
    trainer: Trainer,
    *,
    frozen: Set[str] = frozenset(),
    carried: Sequence[Accumulated] | None = None,
    interrupt: Interrupt | None = None,
) -> list[Steps]:
    """Take `steps` full-batch steps on every network, in place, each on its own task's training split.

    The networks share one architecture, `models.mlp.Mlp` without dropout, are on the CPU, and are in the same round of
    the same method.

    Args:
        frozen: names of parameters that stay as they are.
        carried: each optimizer's state at the end of the previous round, if it is carried over.

    Raises:
        Interrupted: a stop was requested; the networks are left unchanged.
    """

    def check() -> None:
        if interrupt is not None and interrupt.requested:
            raise Interrupted(interrupt.reason)

    return train_mlps(
        nets,
        [task.train.span(0, len(task.train)) for task in tasks],
        [task.train.labels for task in tasks],
        tasks[0].num_classes,
        steps,
        _rule(trainer),
        frozen=frozen,
        carried=carried,
        check=check,
    )


def _rule(trainer: Trainer) -> UpdateRule:
    """`trainer.optimizer`, one of `sweep.jobs.OPTIMIZERS`."""
    lr, decay = trainer.lr, gradient_decay(trainer)
    if trainer.optimizer in ("adam", "adamw"):
        return Adam(lr=lr, decay=decay, decoupled=trainer.optimizer == "adamw")
    if trainer.optimizer == "rmsprop":
        return RmsProp(lr=lr, decay=decay)
    assert trainer.optimizer == "sgd"
    return Sgd(lr=lr, momentum=trainer.momentum, decay=decay)
