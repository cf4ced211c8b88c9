"""The loss curve of a plain PyTorch loop that shares nothing with ours but data, first weights and the order."""

from __future__ import annotations

import pytest
import torch
from factories import tiny_experiment
from torch import Tensor, nn

from reinit_bench.core.config import Execution
from reinit_bench.core.randomness import stream
from reinit_bench.core.rounds import Round
from reinit_bench.data.task import Task, load_task
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.run.experiment import Components, build_network
from reinit_bench.training.loop import train_round
from reinit_bench.training.observer import EpochEnd
from reinit_bench.training.round import Callbacks

LR, MOMENTUM, PENALTY, BATCH, STEPS = 0.01, 0.9, 0.01, 16, 10
EXPERIMENT = tiny_experiment(
    "dataset.train_examples=100", f"trainer.lr={LR}", f"trainer.momentum={MOMENTUM}", f"trainer.weight_decay={PENALTY}"
)
"""90 examples to train: six steps an epoch, the last of 10 examples; ten steps reach into the second epoch."""


def plain_scnn() -> nn.Sequential:
    """The paper's simple CNN at a quarter of its width, for one channel of 8x8 pixels."""
    layers: list[nn.Module] = []
    for inputs, outputs, pool in ((1, 8, False), (8, 8, True), (8, 16, False), (16, 16, True)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding="same"), nn.GroupNorm(1, outputs, eps=1e-3), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if pool else []
    dense = [nn.Flatten(), nn.Linear(16 * 2 * 2, 128), nn.GroupNorm(1, 128, eps=1e-3), nn.ReLU(), nn.Linear(128, 10)]
    return nn.Sequential(*layers, *dense)


def pixels(task: Task) -> Tensor:
    """Training images (n, 1, 8, 8), contiguous, minus mean over deviation of all 100 images."""
    stored = [part.stored if part.rows is None else part.stored[part.rows] for part in (task.train, task.validation)]
    everything = torch.cat(stored).double()
    assert len(everything) == 100
    scaled = (stored[0].double() - everything.mean()) / everything.std(correction=0)
    return scaled.float().permute(0, 3, 1, 2).contiguous()


def plain_losses(task: Task, first_weights: list[Tensor], penalty: float) -> list[float]:
    """Cross-entropy of each step of SGD on cross-entropy plus penalty times the sum of squared kernels."""
    net = plain_scnn()
    for parameter, value in zip(net.parameters(), first_weights, strict=True):
        parameter.data = value.detach().clone().contiguous()
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=MOMENTUM)
    images, labels, losses = pixels(task), task.train.labels, list[float]()
    for epoch in (1, 2):
        for batch in torch.randperm(90, generator=stream(EXPERIMENT.seed, "order", 1, epoch)).split(BATCH):
            loss = nn.functional.cross_entropy(net(images[batch]), labels[batch])
            kernels = [m.weight for m in net if isinstance(m, nn.Conv2d | nn.Linear)]
            optimizer.zero_grad()
            (loss + penalty * sum(kernel.square().sum() for kernel in kernels)).backward()
            optimizer.step()
            losses.append(loss.item())
    return losses[:STEPS]


def our_losses(task: Task, net: BlockNet) -> list[float]:
    epochs: list[EpochEnd] = []
    train_round(
        net,
        task,
        Round(index=1, block=0, repeat=1, max_steps=STEPS),
        EXPERIMENT.trainer,
        seed=EXPERIMENT.seed,
        callbacks=Callbacks(epoch_ended=epochs.append),
    )
    assert [len(event.losses) for event in epochs] == [6, 4]
    return [loss for event in epochs for loss in event.losses]


def test_the_first_ten_losses_are_those_of_a_plain_loop() -> None:
    task = load_task(EXPERIMENT, torch.device("cpu"))
    net = build_network(Components.of(EXPERIMENT, Execution(device="cpu")), EXPERIMENT, task)
    first_weights = [value.detach().clone() for value in net.parameters()]
    expected = plain_losses(task, first_weights, PENALTY)
    assert our_losses(task, net) == pytest.approx(expected, rel=1e-5)
    assert expected[-1] < 0.8 * expected[0], "the curve must move for the comparison to mean something"
    without = plain_losses(task, first_weights, 0.0)
    assert without != pytest.approx(expected, rel=1e-4), "the penalty must show in the curve"
