"""Plasticity: what a network can still learn with, measured after every round.

The quantities of Lyle et al. 2023 ("Understanding plasticity in neural networks") and Sokar et al. 2023 (dormant
units), so that a method's gain can be set beside what it changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from reinit_bench.core.randomness import stream
from reinit_bench.data.task import Task
from reinit_bench.diagnostics.weights import head_of, seen
from reinit_bench.methods.redo import unit_scores
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.channel_tracing import NotFollowed, channels_of
from reinit_bench.models.parameters import frobenius, kernel_names

EXAMPLES = 256
"""Training examples, without augmentation; runs of one seed use the same."""

DORMANT = 0.1
"""A unit is dormant if its mean activation is at most this share of its layer's mean (`redo.tau`)."""

_AT_A_TIME = 32


def measure_round(net: BlockNet, task: Task, seed: int, initial: Mapping[str, Tensor]) -> Iterator[tuple[str, float]]:
    """What is measured after a round, in evaluation mode; `initial` are the parameters' values before all training.

    - `dormant`: share of the dormant units, which are the channels of all layers but the logits; not of networks
      whose channels cannot be followed (transformers);
    - `effective_rank`, `stable_rank` of the features (examples x inputs of the head): exp of the entropy of their
      singular values' shares, and the sum of squares over the largest square;
    - `weight_norm`, `weight_change`: the Frobenius norms of all kernels together, and of their distance from their
      initial values; `weight_norm.<kernel>`, `weight_change.<kernel>` of one;
    - `gradient_norm`: of the mean cross-entropy over all parameters that train.
    """
    inputs, labels = task.sample(EXAMPLES, stream(seed, "plasticity", "sample"))
    try:
        channels = channels_of(net, "plasticity")
        scores = unit_scores(net, channels, inputs)
        hidden = torch.cat([scores[kernel.name] for kernel in channels.kernels if not kernel.writes.is_output])
        yield "dormant", float((hidden <= DORMANT).double().mean())
    except NotFollowed:
        pass
    features = torch.cat(seen(net, head_of(net), inputs, lambda given: given.flatten(1).double()))
    spectrum = torch.linalg.svdvals(features)
    yield "effective_rank", effective_rank(spectrum)
    yield "stable_rank", float(spectrum.square().sum() / spectrum[0].square().clamp_min(1e-300))
    parameters = dict(net.named_parameters())
    norms = {name: frobenius(parameters[name]) for name in kernel_names(net)}
    changes = {name: frobenius(parameters[name].detach() - initial[name]) for name in norms if name in initial}
    for kind, found in (("weight_norm", norms), ("weight_change", changes)):
        yield kind, math.hypot(*found.values())
        yield from ((f"{kind}.{name}", value) for name, value in found.items())
    yield "gradient_norm", _gradient_norm(net, inputs, labels)


def effective_rank(spectrum: Tensor) -> float:
    """exp of the entropy of the singular values' shares (Roy and Vetterli 2007); 0 if all are 0."""
    shares = spectrum[spectrum > 0] / spectrum.sum()
    return float(torch.exp(-(shares * shares.log()).sum())) if len(shares) else 0.0


def _gradient_norm(net: BlockNet, inputs: Tensor, labels: Tensor) -> float:
    trained = [value for value in net.parameters() if value.requires_grad]
    total = [torch.zeros_like(value) for value in trained]
    for part, own in zip(inputs.split(_AT_A_TIME), labels.split(_AT_A_TIME), strict=True):
        with torch.enable_grad():
            loss = functional.cross_entropy(net(part).float(), own, reduction="sum") / len(labels)
        for kept, new in zip(total, torch.autograd.grad(loss, trained, allow_unused=True), strict=True):
            if new is not None:
                kept += new
    return math.hypot(*map(frobenius, total))
