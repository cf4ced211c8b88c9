"""What a network has learned by heart: the wrong labels that it reproduces (under label noise only)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from reinit_bench.data.task import Task
from reinit_bench.models.blocknet import BlockNet


def measure(net: BlockNet, task: Task, seed: int) -> Iterator[tuple[str, Any]]:
    """Of the training examples with a wrong label: how many get that label, and how many their true one (shares).

    `memorized`, `corrected`, `wrong_labels` (their number); nothing where all labels are true.
    """
    if task.clean_labels is None:
        return
    found = torch.cat([net(inputs).argmax(1) for inputs, _ in task.batches("train")])
    wrong = task.train.labels != task.clean_labels
    yield "memorized", (found == task.train.labels)[wrong].double().mean()
    yield "corrected", (found == task.clean_labels)[wrong].double().mean()
    yield "wrong_labels", wrong.sum()
