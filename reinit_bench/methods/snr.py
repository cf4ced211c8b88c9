"""SNR, self-normalized resets: a unit that is silent for longer than is usual for it is reset (Farias et al. 2025)."""

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
class Snr(Redraw):
    """A unit's age is the number of examples since it was last above 0; at its threshold it is reset.

    Every `every` steps its threshold becomes the `quantile` of the ages that ended since the last time, where that is
    below the threshold, else twice the threshold, from `least` to `most`; it begins at `most` / 2. Where no age ended,
    the quantile counts as 1, as in the authors' code (ajozefiak/SelfNormalizedResets, src/algorithms/snr.py).

    A reset unit's incoming weights are drawn from the model's initializer, its bias becomes 0, its norms' scale, shift
    and statistics those of a new one, its outgoing weights and the optimizer's moments 0. It is looked at after norm
    and activation function, in evaluation mode. Logits and channels that several tensors are added into stay. The
    defaults are those of isaac7778/FIRE, which resets neither outgoing weights nor moments.

    Raises:
        NotFollowed: the network's channels cannot be followed (see `channel_tracing`).
    """

    quantile: float = setting(0.98, above=0, most=1)
    """Of a unit's ages (its authors' eta is 1 minus this)."""
    every: int = setting(16, least=1)
    """Steps between two updates of the thresholds, counted in each round."""
    least: int = setting(100, least=1)
    """The smallest threshold, in examples."""
    most: int = setting(20_000, least=1)
    """The largest threshold."""

    def hooks(self, net: BlockNet, context: Context) -> Hooks:
        return _Silence(self, net, context)

    def updated(self, threshold: Tensor, ended: list[Tensor]) -> Tensor:
        """New thresholds (units,), from the ages that ended, one entry (units,) a step, 0: none."""
        ages = torch.stack(ended).sort(dim=0).values
        counts = (ages > 0).sum(0)
        # The smallest age that at least this share of the ages does not exceed; zeros come first.
        place = len(ages) - counts + (self.quantile * counts - 1e-6).ceil().long() - 1
        found = ages.gather(0, place.clamp(0, len(ages) - 1)[None])[0].where(counts > 0, 1)
        return torch.where(found < threshold, found, 2 * threshold).clamp(self.least, self.most)


class _Silence(WatchingUnits):
    def __init__(self, method: Snr, net: BlockNet, context: Context) -> None:
        super().__init__(method, "snr", net, context)
        self.rule = method
        self.ages = self.zeros(net)
        self.thresholds = [ages + method.most // 2 for ages in self.ages]
        self.ended: list[list[Tensor]] = [[] for _ in self.ages]

    def before_step(self, net: nn.Module) -> None:
        assert isinstance(net, BlockNet)
        self.steps += 1
        fired = self._fired(net)
        for number, space in enumerate(self.spaces):
            age = self.ages[number]
            self.ended[number].append(age.where(fired[space], 0))
            self.ages[number] = torch.where(fired[space], 0, age + len(self.inputs()))
            if self.steps % self.rule.every == 0:
                self.thresholds[number] = self.rule.updated(self.thresholds[number], self.ended[number])
                self.ended[number] = []

    def after_step(self, net: nn.Module) -> None:
        assert isinstance(net, BlockNet)
        silent = {}
        for number, space in enumerate(self.spaces):
            age = self.ages[number]
            units = age >= self.thresholds[number]
            if bool(units.any()):
                silent[space] = units
                self.ended[number].append(age.where(units, 0))
                self.ages[number] = age.masked_fill(units, 0)
        if silent:
            self.replace(net, silent)

    def _fired(self, net: BlockNet) -> dict[Space, Tensor]:
        """Which units of each space are above 0 for any example, anywhere; bool (channels,)."""
        found: dict[Space, Tensor] = {}

        def add(kernel: Kernel, value: Tensor) -> None:
            fired = (value > 0).any(2).any(0)
            found[kernel.writes] = found.get(kernel.writes, fired) | fired

        look(net, self.channels, self.inputs(), add)
        return found

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "ages": self.ages, "thresholds": self.thresholds, "ended": self.ended}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.steps, self.ages = state["steps"], list(state["ages"])
        self.thresholds, self.ended = list(state["thresholds"]), [list(ages) for ages in state["ended"]]
