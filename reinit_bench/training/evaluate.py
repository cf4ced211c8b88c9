"""Accuracy and loss of a network on one split."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from reinit_bench.data.task import Task
from reinit_bench.training.device import autocast


@dataclass(frozen=True)
class Metrics:
    """Accuracy (fraction) and mean cross-entropy over one split."""

    accuracy: float
    loss: float


@torch.no_grad()
def evaluate(net: nn.Module, task: Task, split: str, precision: str, batch: int | None = None) -> Metrics:
    """Evaluate on `split` (train, validation or test) without augmentation; reads the device once, at the end.

    `batch` examples go through the network at once; None: as many as the task chooses.
    """
    was_training = net.training
    net.eval()
    sums = torch.zeros(2, dtype=torch.float64, device=task.device)
    count = 0
    for inputs, labels in task.batches(split, batch):
        with autocast(task.device, precision):
            logits = net(inputs).float()
        sums[0] += (logits.argmax(1) == labels).sum()
        sums[1] += functional.cross_entropy(logits, labels, reduction="sum")
        count += len(labels)
    net.train(was_training)
    correct, loss = sums.tolist()
    return Metrics(accuracy=correct / count, loss=loss / count)
