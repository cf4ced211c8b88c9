"""One round of several runs at once: multilayer perceptrons trained on whole training sets, side by side.

The weights of all runs lie in one tensor per parameter, with the run as its first dimension. Elementwise work is done
for all runs in one call, and no graph is built, which is what makes it fast; matrix products and sums over examples are
done run by run with the very operations that autograd would use, so that each run ends with the bits that it would have
alone.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import torch
from torch import Tensor

from reinit_bench.core.config import Trainer
from reinit_bench.data.task import Task
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.training.batched_layers import CrossEntropy, DenseLayer
from reinit_bench.training.interrupt import Interrupt, Interrupted


@dataclass(frozen=True)
class BatchedSteps:
    """What the steps of a round said, run by run.

    Attributes:
        losses: each step's cross-entropy before its update, shape (runs, steps), up to the last bits.
        last_loss: the last step's, with the very bits of a run alone.
        last_accuracy: share of right answers on the training set before the last update.
    """

    losses: Tensor
    last_loss: tuple[float, ...]
    last_accuracy: tuple[float, ...]

    def first_bad_step(self, run: int) -> int | None:
        """The first step, from 1, whose loss is NaN or infinite; None where all are finite."""
        bad = (~torch.isfinite(self.losses[run])).nonzero()
        return int(bad[0]) + 1 if len(bad) else None


@torch.no_grad()
def train_steps_together(
    nets: Sequence[BlockNet],
    tasks: Sequence[Task],
    steps: int,
    trainer: Trainer,
    *,
    frozen: Set[str] = frozenset(),
    interrupt: Interrupt | None = None,
) -> BatchedSteps:
    """Take `steps` full-batch SGD steps on every network, in place, each on its own task's training split.

    The networks are of one architecture, `models.mlp.Mlp` without dropout, on the CPU, at one round of one method.

    Args:
        frozen: names of parameters that stay as they are.

    Raises:
        Interrupted: a stop was requested; the networks are left as they were.
    """
    layers: list[DenseLayer] = []
    below = [task.train.span(0, len(task.train)) for task in tasks]
    for block in range(nets[0].num_blocks):
        layers.append(DenseLayer(nets, block, below, frozen))
        below = layers[-1].outputs
    loss = CrossEntropy([task.train.labels for task in tasks], tasks[0].num_classes)
    losses = torch.empty(steps, len(nets))
    for step in range(steps):
        if interrupt is not None and interrupt.requested:
            raise Interrupted(interrupt.reason)
        for layer in layers:
            layer.forward()
        losses[step] = loss.forward(layers[-1].output)
        gradient: Tensor | None = loss.backward()
        for layer in reversed(layers):
            assert gradient is not None
            gradient = layer.backward(gradient)
        for layer in layers:
            layer.update(trainer)
    for layer in layers:
        layer.give_back()
    return BatchedSteps(losses=losses.T.contiguous(), last_loss=loss.exact(), last_accuracy=loss.accuracy())
