"""S&P, Shrink & Perturb: all parameters are shrunk, and a fresh network is added (Ash and Adams 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Redraw, full_mask, reset_statistics
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.parameters import kernel_names, refuse_parametrized


@dataclass(frozen=True, kw_only=True)
class ShrinkPerturb(Redraw):
    """w <- shrink * w + perturb * w' before every round but the first, w' being a fresh draw.

    In a fresh network biases are 0 and the norms' scales 1. The authors' code (JordanAsh/warm_start, run.py) also does
    it to the untrained network, and always with fresh buffers. Han et al. (2026) compare with w <- 0.2 w + 0.8 w0:
    `towards=initial shrink=0.2 perturb=0.8`.
    """

    shrink: float = setting(0.4, least=0, most=1)
    """Factor of the trained parameters."""
    perturb: float = setting(0.1, least=0)
    """Factor of the fresh ones."""
    towards: str = setting("fresh", choices=("fresh", "initial"))
    """What is added: a new draw of the initializer, or the values that this run began with."""
    scope: str = setting("all", choices=("all", "kernels"))
    """All parameters, or convolution and dense kernels alone."""
    reset_buffers: bool = setting(False)
    """Also reset BatchNorm's running statistics, as the authors' code does."""

    def transform(self, net: BlockNet, context: Context) -> None:
        if context.round.index == 1:
            return
        parameters = dict(net.named_parameters())
        refuse_parametrized(net, parameters, self)
        for name, other in self._others(net, context).items():
            parameters[name].mul_(self.shrink).add_(other, alpha=self.perturb)
        if self.reset_buffers:
            reset_statistics(net, full_mask(net, parameters.keys() - context.fixed))

    def _others(self, net: BlockNet, context: Context) -> Mapping[str, Tensor]:
        names = kernel_names(net) if self.scope == "kernels" else tuple(name for name, _ in net.named_parameters())
        if self.towards == "fresh":
            return self.fresh(net, full_mask(net, names), context)
        initial = context.initial()
        return {name: initial[name] for name in names}
