"""Augmentation in training: drawn from each step's own stream, and in training only."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from bits import bit_equal
from torch import Tensor, nn
from training_helpers import SEED, make_split, make_task, train

from reinit_bench.core.config import Trainer
from reinit_bench.core.randomness import stream
from reinit_bench.data.augment import Augmentation
from reinit_bench.data.task import Task
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.layers import GlobalAveragePool


@dataclass(frozen=True, kw_only=True)
class Brighten(Augmentation):
    """Adds one draw of the stream to every pixel, so that a batch tells which stream it was given."""

    def enlarged_size(self, image_size: int) -> int:
        return image_size

    def apply(self, images: Tensor, image_size: int, generator: torch.Generator) -> Tensor:
        return images.float() + 1000.0 * torch.rand((), generator=generator)


class Mean(nn.Module):
    """Keeps the mean of each batch, by mode."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[bool, list[float]] = {True: [], False: []}

    def forward(self, x: Tensor) -> Tensor:
        self.seen[self.training].append(x.mean().item())
        return x / 1000.0


def setup() -> tuple[Task, BlockNet, Mean]:
    black = make_split(torch.zeros(6, 4, 4, 1, dtype=torch.uint8), torch.arange(6) % 2)
    task = replace(
        make_task(black, classes=2),
        image_size=4,
        mean=torch.zeros(1, 1, 1),
        std=torch.ones(1, 1, 1),
        augmentation=Brighten(),
    )
    mean = Mean()
    return task, BlockNet([mean], nn.Sequential(GlobalAveragePool(), nn.Linear(1, 2))), mean


def test_each_step_draws_from_its_own_stream_and_evaluation_from_none() -> None:
    task, net, mean = setup()
    train(net, task, Trainer(batch_size=4), steps=5, index=2)  # 2 steps an epoch
    expected = [1000.0 * torch.rand((), generator=stream(SEED, "augment", 2, step)).item() for step in range(5)]
    assert torch.allclose(torch.tensor(mean.seen[True]), torch.tensor(expected), rtol=1e-5)
    assert set(mean.seen[False]) == {0.0}


def test_the_parts_of_a_batch_are_augmented_together() -> None:
    seen = []
    for micro_batch in (None, 2):
        task, net, mean = setup()
        train(net, task, Trainer(batch_size=4, micro_batch=micro_batch), steps=4)
        seen.append(mean.seen[True])
    whole, parts = seen
    assert bit_equal([value for value, count in zip(whole, (2, 1, 2, 1), strict=True) for _ in range(count)], parts)
