"""The smallest margins on the training set (Section 4.1, Figure 6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from reinit_bench.data.task import Task
from reinit_bench.models.blocknet import BlockNet

SMALLEST = 400
"""How many are kept: the paper's number."""


def measure(net: BlockNet, task: Task, seed: int) -> Iterator[tuple[str, Any]]:
    """`smallest`: the 400 smallest margins (all, if there are fewer examples), ascending.

    They are taken over the whole training split, without augmentation; `examples` is the split's size.
    """
    every = torch.cat([margins(net(inputs), labels) for inputs, labels in task.batches("train")])
    yield "smallest", every.sort().values[:SMALLEST]
    yield "examples", len(every)


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Softmax output of the true label minus the largest other one, shape (n,), in [-1, 1].

    In double precision: a well trained network's margins differ in what float32 rounds away.

    Args:
        logits: shape (n, classes), two classes or more.
        labels: int64, shape (n,).
    """
    scores = logits.double().softmax(1)
    own = labels.unsqueeze(1)
    others = scores.scatter(1, own, -torch.inf)
    return scores.gather(1, own).squeeze(1) - others.amax(1)
