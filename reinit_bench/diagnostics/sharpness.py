"""How accuracy and loss change when noise is added to all parameters (Section 4.2, Figure 5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from reinit_bench.core.randomness import stream
from reinit_bench.data.splits import stratified
from reinit_bench.data.task import Task
from reinit_bench.models.blocknet import BlockNet

SIGMAS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Standard deviations of the noise. Our choice: the figure's axis cannot be read off the text."""

DRAWS = 3
"""Draws of the noise; each is scaled to every sigma, so that a draw's curve has no jumps of its own."""

FEWEST, MOST = 64, 256
"""Bounds of the sample: a quarter of the training split, stratified by class, between these (or all there are)."""

_AT_A_TIME = 64


def measure(net: BlockNet, task: Task, seed: int) -> Iterator[tuple[str, Any]]:
    """Accuracy and mean cross-entropy on a sample of training examples, without augmentation.

    `sigma` (S,); `accuracy` and `loss` (draws, S) with noise N(0, sigma^2 I) on every parameter, biases and norms too;
    `accuracy_without`, `loss_without` noise; `examples`. Runs of one seed and one architecture get the same noise.
    """
    inputs, labels = sample(task, seed)
    accuracy, loss = scores(net, inputs, labels)
    yield "sigma", SIGMAS
    yield "accuracy_without", accuracy
    yield "loss_without", loss
    yield "examples", len(labels)
    noisy = list(noisy_scores(net, inputs, labels, seed))
    found = torch.tensor(noisy, dtype=torch.float64).reshape(DRAWS, len(SIGMAS), 2)
    yield "accuracy", found[..., 0]
    yield "loss", found[..., 1]


def sample(task: Task, seed: int) -> tuple[Tensor, Tensor]:
    """The examples: inputs as in evaluation, and labels."""
    everything = task.train.labels.cpu().numpy()
    count = min(len(everything), max(FEWEST, min(MOST, len(everything) // 4)))
    positions, _ = stratified(everything, count, stream(seed, "sharpness", "sample"))
    return task.plain_batch(torch.from_numpy(positions).to(task.device))


@torch.no_grad()
def noisy_scores(net: BlockNet, inputs: Tensor, labels: Tensor, seed: int) -> Iterator[tuple[float, float]]:
    """Accuracy and loss, draw by draw, for each sigma; the weights are restored at the end, whatever happens."""
    parameters = dict(net.named_parameters())
    weights = {name: value.detach().clone() for name, value in parameters.items()}
    try:
        for draw in range(DRAWS):
            noise = {name: gaussian(value, seed, draw, name) for name, value in weights.items()}
            for sigma in SIGMAS:
                for name, value in parameters.items():
                    value.copy_(torch.add(weights[name], noise[name], alpha=sigma))
                yield scores(net, inputs, labels)
    finally:
        for name, value in parameters.items():
            value.copy_(weights[name])


def gaussian(like: Tensor, seed: int, draw: int, name: str) -> Tensor:
    """Standard normal noise of the shape and device of `like`, from its own stream."""
    return torch.randn(like.shape, generator=stream(seed, "sharpness", draw, name)).to(like.device)


def scores(net: BlockNet, inputs: Tensor, labels: Tensor) -> tuple[float, float]:
    """Accuracy (fraction) and mean cross-entropy."""
    logits = torch.cat([net(part).float() for part in inputs.split(_AT_A_TIME)])
    right = (logits.argmax(1) == labels).double().mean()
    return float(right), float(functional.cross_entropy(logits.double(), labels))
