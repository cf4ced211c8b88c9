"""Networks and tasks so small that what a diagnostic must say of them can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reinit_bench.data.augment import Augmentation
from reinit_bench.data.placement import Split
from reinit_bench.data.task import Task
from reinit_bench.models.blocknet import BlockNet


def task_of(inputs: Sequence[Sequence[float]] | Tensor, labels: Sequence[int]) -> Task:
    """A task of vectors, served as they are; every split is the training split."""
    split = Split(torch.as_tensor(inputs, dtype=torch.float32), None, torch.tensor(labels))
    return Task(
        train=split,
        train_enlarged=None,
        validation=split,
        test=split,
        num_classes=max(labels) + 1,
        image_size=None,
        mean=torch.zeros(()),
        std=torch.ones(()),
        augmentation=Augmentation(),
    )


def dense(weight: Sequence[Sequence[float]], bias: Sequence[float]) -> nn.Linear:
    """A dense layer with these values."""
    layer = nn.Linear(len(weight[0]), len(weight))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        layer.bias.copy_(torch.tensor(bias))
    return layer


def one_layer(weight: Sequence[Sequence[float]], bias: Sequence[float]) -> BlockNet:
    """A network whose logits are weight x + bias."""
    return BlockNet([dense(weight, bias)], nn.Identity())
