"""Weight clipping: after each step every weight is brought back between two bounds (Elsayed et al. 2024)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from reinit_bench.core.hooks import Hooks
from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Reinitializer
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.initializers import fans
from reinit_bench.models.parameters import is_kernel, is_loose, norm_names, refuse_parametrized


@dataclass(frozen=True, kw_only=True)
class Clip(Reinitializer):
    """w <- clamp(w, +-zeta / sqrt(fan_in)) for kernels and biases, whose fan-in is that of the kernel before them.

    Nothing is reset between rounds. The authors' code (mohmdelsayed/weight-clipping, core/optim/weight_clipping.py)
    also clips the norms' scales, which begin at 1, to a tenth or less (`norms=true`). Its networks begin with uniform
    draws within that bound; of the paper's He normal draws about half are beyond it.
    """

    zeta: float = setting(1.0, above=0)
    """The bound, in units of 1 / sqrt(fan_in)."""
    norms: bool = setting(False)
    """Also clip the norms' scales and shifts."""

    def hooks(self, net: BlockNet, context: Context) -> Hooks:
        refuse_parametrized(net, dict(net.named_parameters()), self)
        spared = context.fixed if self.norms else context.fixed | set(norm_names(net))
        bounds: dict[str, float] = {}
        fan_in = 0
        for name, value in net.named_parameters():
            if is_kernel(name, value):
                fan_in = fans(value)[0]
            if fan_in and not is_loose(name) and name not in spared:
                bounds[name] = self.zeta / math.sqrt(fan_in)
        return _Bounds(bounds)


class _Bounds(Hooks):
    def __init__(self, bounds: Mapping[str, float]) -> None:
        self.bounds = bounds

    def after_step(self, net: nn.Module) -> None:
        for name, value in net.named_parameters():
            if name in self.bounds:
                value.clamp_(-self.bounds[name], self.bounds[name])
