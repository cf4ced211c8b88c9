"""Hare: the trained network is set back to a slow average of itself (Lee et al. 2024, "Hare & Tortoise")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from reinit_bench.core.hooks import Hooks
from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Reinitializer
from reinit_bench.models.blocknet import BlockNet


@dataclass(frozen=True, kw_only=True)
class Hare(Reinitializer):
    """The average (tortoise) moves by 1 - decay to the trained network (hare) after each step, buffers included.

    Every `every` epochs the trained network becomes the average; the optimizer keeps its state. Each round begins a new
    average; nothing is reset between rounds. The trained network is validated and handed on. The authors' code
    (dojeon-ai/Hare-Tortoise, src/trainers/base.py) resets after its epochs 1, 11, 21 and so on; here after 10, 20, ...
    """

    decay: float = setting(0.999, least=0, below=1)
    """Factor of the old average at each step."""
    every: int = setting(10, least=1)
    """Epochs between two resets."""

    def hooks(self, net: BlockNet, context: Context) -> Hooks:
        return _Tortoise(self.decay, self.every)


class _Tortoise(Hooks):
    def __init__(self, decay: float, every: int) -> None:
        self.decay, self.every = decay, every
        self.epochs = 0
        self.average: dict[str, torch.Tensor] = {}

    def begin(self, net: nn.Module) -> None:
        self.average = {name: value.detach().clone() for name, value in net.state_dict().items()}

    def after_step(self, net: nn.Module) -> None:
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                # lerp leaves equal values as they are: a lambda layer's statistics must not change by rounding.
                self.average[name].lerp_(value, 1 - self.decay)
            else:
                self.average[name].copy_(value)

    def after_epoch(self, net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.epochs += 1
        if self.epochs % self.every == 0:
            net.load_state_dict(self.average)

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self.epochs, "average": self.average}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epochs, self.average = state["epochs"], dict(state["average"])
