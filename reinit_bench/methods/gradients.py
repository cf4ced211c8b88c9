"""The gradient of the loss, for methods that look at it between two rounds."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.parameters import modes_kept


def gradient(net: BlockNet, inputs: Tensor, labels: Tensor, micro_batch: int | None = None) -> dict[str, Tensor]:
    """The gradient of the mean cross-entropy over these examples, by parameter; `net` stays as it is.

    Taken in evaluation mode (no dropout, the norms' stored statistics) and full precision, of all parameters, whether
    they are trained or not.

    Args:
        micro_batch: examples that go through the network at once; None: all of them. Equal up to rounding.
    """
    parameters: dict[str, Tensor] = dict(net.named_parameters())
    trained = {name: value.requires_grad for name, value in parameters.items()}
    total = {name: torch.zeros_like(value) for name, value in parameters.items()}
    try:
        for value in parameters.values():
            value.requires_grad_(True)
        size = micro_batch or len(labels)
        with modes_kept(net):
            net.eval()
            for part, answers in zip(inputs.split(size), labels.split(size), strict=True):
                with torch.enable_grad():
                    loss = functional.cross_entropy(net(part), answers, reduction="sum") / len(labels)
                    found = torch.autograd.grad(loss, tuple(parameters.values()), allow_unused=True)
                for name, value in zip(parameters, found, strict=True):
                    if value is not None:
                        total[name] += value
    finally:
        for name, value in parameters.items():
            value.requires_grad_(trained[name])
    return total
