"""DSD: the parameters of smallest magnitude are redrawn before every round (Section 1, "weight magnitudes")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Mask
from reinit_bench.methods.subset import SubsetMethod, smallest_mask
from reinit_bench.models.blocknet import BlockNet


@dataclass(frozen=True, kw_only=True)
class Dsd(SubsetMethod):
    """Redraws the 20% of smallest absolute value, found again before every round but the first; no sparse phase."""

    selection: str = setting("tensor", choices=("tensor", "network"))
    """What `fraction` refers to: each tensor, or the whole network."""
    fill: str = setting("initializer", choices=("initializer", "zeros"))
    """What replaces them: fresh draws, or zeros."""

    def select(self, net: BlockNet, context: Context) -> Mask:
        if context.round.index == 1:
            return {}
        parameters = dict(net.named_parameters())
        return smallest_mask({name: parameters[name] for name in self.names(net)}, self.fraction, self.selection)

    def fresh(self, net: BlockNet, mask: Mask, context: Context) -> Mapping[str, Tensor]:
        if self.fill == "zeros":
            parameters = dict(net.named_parameters())
            return {name: torch.zeros_like(parameters[name]) for name in mask}
        return super().fresh(net, mask, context)
