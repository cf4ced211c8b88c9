"""KELS: the same channels of each kernel are kept, the rest is redrawn before every round (Taha et al. 2021, "KE")."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Mask, Redraw
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.channel_tracing import channels_of
from reinit_bench.models.channels import Space


@dataclass(frozen=True, kw_only=True)
class Kels(Redraw):
    """The kernel-level split of knowledge evolution: the first ceil(keep * C) channels of every layer are kept.

    Of a kernel (out, in, *window), the first ceil(keep * out) x ceil(keep * in) windows are kept; all others, between
    kept and dropped channels too, are redrawn before every round but the first, the same ones each time. The channels
    of the network's input and output are all kept. A depthwise kernel (channels, 1, *window) is split by its channels.

    Default and rule are those of the authors' code (ahmdtaha/knowledge_evolution, layers/conv_type.py and
    train_KE_cls.py), which does not redraw norms and dense biases either. It differs in three things. It takes a kernel
    with three inputs for the network's first; here the position counts. It cuts a flattened image in the middle of a
    channel if keep * C is no whole number; here between channels, so that what is kept is a network of its own. It
    redraws with a smaller deviation (`fresh_scale=0.408`).

    Raises:
        NotFollowed: the network's channels cannot be followed (see `channel_tracing`); in the first round already.
    """

    keep: float = setting(0.5, above=0, below=1)
    """Share of the channels that is kept (the authors' split rate)."""
    scope: str = setting("kernels", choices=("kernels", "all"))
    """What is redrawn: kernels, or also the biases, norm scales and shifts of dropped channels."""

    def select(self, net: BlockNet, context: Context) -> Mask:
        channels = channels_of(net, "kels")
        if context.round.index == 1:
            return {}
        parameters = dict(net.named_parameters())
        dropped = {space: self._dropped(space, next(net.parameters()).device) for space in channels.spaces}
        mask: dict[str, Tensor] = {}
        for kernel in channels.kernels:
            value = parameters[kernel.name]
            writes, reads = dropped[kernel.writes], dropped[kernel.reads]
            mask[kernel.name] = kernel.writing(writes, value) | kernel.reading(reads, value)
        if self.scope == "all":
            mask |= {vector.name: vector.of(dropped[vector.space]) for vector in channels.vectors}
        return mask

    def _dropped(self, space: Space, device: torch.device) -> Tensor:
        """Which channels are not kept: bool (channels,)."""
        is_whole = space.is_input or space.is_output
        kept = space.channels if is_whole else math.ceil(Fraction(repr(self.keep)) * space.channels)
        return torch.arange(space.channels, device=device) >= kept
