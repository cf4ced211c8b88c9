"""Sharpness-aware minimization (Foret et al. 2021): the gradient is taken at the worst point nearby."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_SMALLEST = 1e-12  # a gradient shorter than this has no direction worth following


@contextmanager
def worst_point_nearby(net: nn.Module, radius: float) -> Iterator[None]:
    """Within the block, the trained parameters are moved by `radius` along their joint gradient; then back, exactly.

    The gradients must have been computed; the block replaces them. BatchNorm's running statistics stay as they are.
    """
    moved = [value for value in net.parameters() if value.grad is not None]
    before = [value.detach().clone() for value in moved]
    statistics = [module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [module.momentum for module in statistics]
    _move(moved, radius)
    for module in statistics:
        module.momentum = 0.0
    try:
        yield
    finally:
        with torch.no_grad():
            for value, old in zip(moved, before, strict=True):
                value.copy_(old)
        for module, momentum in zip(statistics, momenta, strict=True):
            module.momentum = momentum


@torch.no_grad()
def _move(parameters: Sequence[Tensor], radius: float) -> None:
    gradients = [value.grad for value in parameters if value.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
    scale = radius / norm.clamp_min(_SMALLEST)
    for value, gradient in zip(parameters, gradients, strict=True):
        value.add_(gradient * scale)
