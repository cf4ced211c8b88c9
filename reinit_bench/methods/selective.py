"""Selective weight reinitialization: while it trains, the least useful weights are redrawn.

Hernandez-Garcia et al. (2025) call it SWR; here `swr` is soft weight rescaling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reinit_bench.core.hooks import Hooks
from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Redraw, apply_mask
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.initializers import initial_values
from reinit_bench.models.parameters import refuse_parametrized


@dataclass(frozen=True, kw_only=True)
class Selective(Redraw):
    """Every so many steps, after the optimizer's, the elements of least utility in each parameter are redrawn.

    Utility is abs(gradient * w), the gradient being that of the step and w its result, or abs(w). What is redrawn comes
    from the model's initializer (biases and shifts become 0, scales 1); moments of the optimizer stay. A parameter
    without a gradient is left alone; the authors' code (JFernando4/collas_2025_swr_paper, src/swr_functions) redraws
    it whole.
    """

    every: int = setting(128, least=1)
    """Steps between two redraws, counted in each round."""
    factor: float = setting(5e-4, above=0, below=1)
    """threshold: of the mean utility; proportional: of the number of elements."""
    utility: str = setting("gradient", choices=("gradient", "magnitude"))
    """abs(gradient * w), or abs(w)."""
    pruning: str = setting("threshold", choices=("threshold", "proportional"))
    """What is redrawn of each parameter: what is at most `factor` of its mean utility, or the lowest `factor`, a
    fraction of one element by chance."""
    decay: float = setting(0.0, least=0, below=1)
    """Utility is a moving average over the steps, of which the old one keeps this share."""

    def hooks(self, net: BlockNet, context: Context) -> Hooks:
        refuse_parametrized(net, dict(net.named_parameters()), self)
        return _Selection(self, context)

    def least(self, utility: Tensor, generator: torch.Generator) -> Tensor:
        """The elements to redraw: bool, of the shape of `utility`."""
        if self.pruning == "threshold":
            return utility <= self.factor * utility.mean()
        share = self.factor * utility.numel()
        count = math.floor(share) + int(torch.rand((), generator=generator) < share % 1)
        chosen = torch.zeros(utility.numel(), dtype=torch.bool, device=utility.device)
        chosen[utility.flatten().sort(stable=True).indices[:count]] = True
        return chosen.reshape(utility.shape)


class _Selection(Hooks):
    def __init__(self, method: Selective, context: Context) -> None:
        self.method, self.context = method, context
        self.steps = 0
        self.average: dict[str, Tensor] = {}

    def after_step(self, net: nn.Module) -> None:
        assert isinstance(net, BlockNet)
        self.steps += 1
        due = self.steps % self.method.every == 0
        if due or self.method.decay:
            for name, value in net.named_parameters():
                if value.grad is not None and name not in self.context.fixed:
                    now = (value * value.grad if self.method.utility == "gradient" else value).abs()
                    self.average[name] = now.lerp(self.average.get(name, torch.zeros_like(now)), self.method.decay)
        if due:
            self._redraw(net)

    def _redraw(self, net: BlockNet) -> None:
        purpose = ("selective", self.context.round.index, self.steps)
        mask = {
            name: self.method.least(utility, self.context.stream(*purpose, "count", name))
            for name, utility in self.average.items()
        }
        mask = {name: chosen for name, chosen in mask.items() if bool(chosen.any())}
        fresh = initial_values(net, self.context.initializer, mask, self.context.seed, *purpose)
        apply_mask(net, mask, self.method.scaled(fresh))
        for name, chosen in mask.items():
            self.average[name].masked_fill_(chosen, 0.0)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "average": self.average}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.steps, self.average = state["steps"], dict(state["average"])
