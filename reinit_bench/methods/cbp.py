"""Continual backprop: in each step mature units of least utility are replaced, a few at a time (Dohare et al. 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reinit_bench.core.hooks import Hooks
from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Redraw
from reinit_bench.methods.units import WatchingUnits, look
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.channels import Kernel, Space


@dataclass(frozen=True, kw_only=True)
class Cbp(Redraw):
    """In each step, a layer's account gains rate * (units older than `maturity` steps); its whole units are replaced.

    Lowest first by utility: a unit's mean |activation| over the minibatch, as the next layer reads it, times the mean
    |weight| with which that layer reads it. A replaced unit's incoming weights are drawn from the model's initializer,
    its bias becomes 0, its norms' scale, shift and statistics those of a new one, its outgoing weights and the
    optimizer's moments 0; its age begins anew. Logits and channels that several tensors are added into stay.

    The authors' code (shibhansh/loss-of-plasticity, lop/algos/cbp_conv.py) draws uniform values of its own, keeps
    gradient descent's momentum, acts within the backward pass, so that lower layers' gradients are those of a network
    replaced in part, and looks at units in training mode. Here gradients are the whole network's, and units are looked
    at in evaluation mode.

    Raises:
        NotFollowed: the network's channels cannot be followed (see `channel_tracing`).
    """

    rate: float = setting(1e-5, above=0, most=1)
    """Share of the mature units that is replaced at each step; 1e-4 for dense networks there."""
    maturity: int = setting(1000, least=0)
    """Steps for which a new unit is safe; 100 for dense networks there."""

    def hooks(self, net: BlockNet, context: Context) -> Hooks:
        return _Replacement(self, net, context)


class _Replacement(WatchingUnits):
    def __init__(self, method: Cbp, net: BlockNet, context: Context) -> None:
        super().__init__(method, "cbp", net, context)
        self.rate, self.maturity = method.rate, method.maturity
        self.ages = self.zeros(net)
        self.accounts = [0.0 for _ in self.spaces]

    def before_step(self, net: nn.Module) -> None:
        assert isinstance(net, BlockNet)
        self.steps += 1
        activity = self._activity(net)
        for number in reversed(range(len(self.spaces))):  # the last layer first
            self.ages[number] += 1
            mature = self.ages[number] > self.maturity
            self.accounts[number] += self.rate * int(mature.sum())
            count = int(self.accounts[number])
            if count:
                self.accounts[number] -= count
                utility = self.utility(net, self.spaces[number], activity).where(mature, torch.inf)
                units = torch.zeros_like(mature)
                units[utility.sort(stable=True).indices[:count]] = True
                self.replace(net, {self.spaces[number]: units}, number)
                self.ages[number][units] = 0

    def _activity(self, net: BlockNet) -> dict[str, Tensor]:
        """By kernel, the mean |activation| over the minibatch of what it reads, (channels, positions)."""
        inputs = self.inputs()
        found: dict[str, Tensor] = {}

        def add(kernel: Kernel, value: Tensor) -> None:
            found[kernel.name] = found.get(kernel.name, 0) + value.abs().sum(0) / len(inputs)

        look(net, self.channels, inputs, add, read=True)
        return found

    def utility(self, net: BlockNet, space: Space, activity: Mapping[str, Tensor]) -> Tensor:
        """Of each unit, (channels,)."""
        total = torch.zeros(space.channels, device=self.ages[0].device)
        for kernel in self.channels.kernels:
            if kernel.reads is space and not kernel.is_depthwise:
                weights = net.get_parameter(kernel.name).transpose(0, 1).flatten(1).abs().mean(1)
                total += (activity[kernel.name] * weights.reshape(space.channels, -1)).mean(1)
        return total

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "ages": self.ages, "accounts": self.accounts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.steps, self.ages, self.accounts = state["steps"], list(state["ages"]), list(state["accounts"])
