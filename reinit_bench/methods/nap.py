"""NaP, normalize and project: after each step every kernel gets its first norm back (Lyle et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass

from reinit_bench.core.hooks import Hooks
from reinit_bench.methods.base import Context, Reinitializer
from reinit_bench.methods.swr import Swr
from reinit_bench.models.blocknet import BlockNet


@dataclass(frozen=True, kw_only=True)
class Nap(Reinitializer):
    """w <- w norm(w0) / norm(w) for every kernel, the head's too; nothing is reset between rounds.

    That is `swr` with strength 1. The paper's other half, a norm before every activation, is the network's: the suite's
    have one, unless `model.norm=none`. Scales and shifts of norms are free, as in RLE-Foundation/Plasticine.
    """

    def hooks(self, net: BlockNet, context: Context) -> Hooks:
        return Swr(strength=1.0).hooks(net, context)
