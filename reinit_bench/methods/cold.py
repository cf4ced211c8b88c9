"""Cold, a control: every round begins with a wholly fresh network. What is a reset worth of which nothing is left?"""

from __future__ import annotations

from dataclasses import dataclass

from reinit_bench.methods.base import Context, Mask, Redraw, full_mask
from reinit_bench.models.blocknet import BlockNet


@dataclass(frozen=True, kw_only=True)
class Cold(Redraw):
    """Redraws all parameters and resets BatchNorm's statistics before every round but the first."""

    def select(self, net: BlockNet, context: Context) -> Mask:
        return {} if context.round.index == 1 else full_mask(net, [name for name, _ in net.named_parameters()])
