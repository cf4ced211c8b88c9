"""UPGD, utility-based perturbed gradient descent: useful weights are protected (Elsayed and Mahmood 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reinit_bench.core.hooks import Hooks
from reinit_bench.core.randomness import stream
from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Reinitializer
from reinit_bench.models.blocknet import BlockNet


@dataclass(frozen=True, kw_only=True)
class Upgd(Reinitializer):
    """Before each step the gradient g becomes (g + sigma * noise) * (1 - s); nothing is reset between rounds.

    s = sigmoid(U / max U), U being a moving average of -g * w and the maximum that over the whole network. The authors'
    code (mohmdelsayed/upgd, core/optim/weight_upgd/first_order.py) is an optimizer: plain gradient descent with weight
    decay, so `trainer.optimizer=sgd trainer.momentum=0`; here other optimizers may follow. Its README has twice that
    step. As there, U is corrected for its beginning at zero and its maximum is not.
    """

    decay: float = setting(0.999, least=0, below=1)
    """What the moving average of the utility keeps at each step (its beta)."""
    sigma: float = setting(1e-3, least=0)
    """Deviation of the normal noise."""

    def hooks(self, net: BlockNet, context: Context) -> Hooks:
        return _Protection(self, context)


class _Protection(Hooks):
    def __init__(self, method: Upgd, context: Context) -> None:
        self.method, self.context = method, context
        self.steps = 0
        self.utility: dict[str, Tensor] = {}

    def before_step(self, net: nn.Module) -> None:
        decay, sigma = self.method.decay, self.method.sigma
        self.steps += 1
        trained = {name: (value, value.grad) for name, value in net.named_parameters() if value.grad is not None}
        for name, (value, gradient) in trained.items():
            old = self.utility.get(name, torch.zeros_like(gradient))
            self.utility[name] = decay * old - (1 - decay) * gradient * value
        largest = torch.stack([self.utility[name].max() for name in trained]).max()
        for name, (value, gradient) in trained.items():
            ratio = self.utility[name] / (1 - decay**self.steps) / largest
            gradient.add_(self.noise(name, value), alpha=sigma).mul_(1 - ratio.sigmoid())

    def noise(self, name: str, value: Tensor) -> Tensor:
        """Standard normal, of the parameter's shape."""
        purpose = ("upgd", self.context.round.index, self.steps, name)
        generator = stream(self.context.seed, *purpose, device=value.device)
        return torch.empty_like(value).normal_(generator=generator)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "utility": self.utility}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.steps, self.utility = state["steps"], dict(state["utility"])
