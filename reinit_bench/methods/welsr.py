"""WELSR: a new random subset of the parameters is redrawn before every round (Section 1, "random subset")."""

from __future__ import annotations

from dataclasses import dataclass

from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Mask
from reinit_bench.methods.subset import SubsetMethod, random_mask
from reinit_bench.models.blocknet import BlockNet


@dataclass(frozen=True, kw_only=True)
class Welsr(SubsetMethod):
    """Redraws 20% of the kernels' elements, chosen again before every round but the first."""

    selection: str = setting("tensor", choices=("tensor", "network", "bernoulli"))
    """What `fraction` refers to: each tensor, the whole network, or each element's probability."""

    def select(self, net: BlockNet, context: Context) -> Mask:
        if context.round.index == 1:
            return {}
        return random_mask(
            net,
            self.names(net),
            self.fraction,
            self.selection,
            lambda group: context.stream("mask", context.round.index, group),
        )
