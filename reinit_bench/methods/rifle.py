"""RIFLE: the classifier head alone is redrawn before every round (Li et al. 2020, for pretrained networks)."""

from __future__ import annotations

from dataclasses import dataclass

from reinit_bench.methods.base import Context, Mask, Redraw, full_mask
from reinit_bench.models.blocknet import BlockNet


@dataclass(frozen=True, kw_only=True)
class Rifle(Redraw):
    """Redraws the last dense layer, kernel and bias, before every round but the first: rounds - 1 times in a run.

    The authors' code (lixingjian/RIFLE, train.py) keeps one cosine schedule and the optimizer's state over the whole
    run: `trainer.optimizer_between_rounds=carry`. With both restarted, as here by default, `restart` is its control.
    """

    def select(self, net: BlockNet, context: Context) -> Mask:
        return {} if context.round.index == 1 else full_mask(net, net.names_in_head())
