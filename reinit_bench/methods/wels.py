"""WELS: the same random subset of the parameters is redrawn before every round (Section 1, "fixed subset")."""

from __future__ import annotations

from dataclasses import dataclass

from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Mask
from reinit_bench.methods.subset import SubsetMethod, random_mask
from reinit_bench.models.blocknet import BlockNet


@dataclass(frozen=True, kw_only=True)
class Wels(SubsetMethod):
    """Redraws a fixed 20% of the kernels' elements, which the run's seed determines before training."""

    selection: str = setting("tensor", choices=("tensor", "network", "bernoulli"))
    """What `fraction` refers to: each tensor, the whole network, or each element's probability."""

    def select(self, net: BlockNet, context: Context) -> Mask:
        if context.round.index == 1:
            return {}
        # The stream does not name the round: the mask is the same in all rounds and needs no storage.
        return random_mask(
            net, self.names(net), self.fraction, self.selection, lambda group: context.stream("fixed mask", group)
        )
