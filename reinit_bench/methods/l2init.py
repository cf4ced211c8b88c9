"""L2 Init: the loss pulls every parameter towards its initial value (Kumar et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from reinit_bench.core.hooks import Hooks
from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Reinitializer
from reinit_bench.models.blocknet import BlockNet


@dataclass(frozen=True, kw_only=True)
class L2Init(Reinitializer):
    """The loss gains strength * sum (w - w0)^2 over all parameters; nothing is reset between rounds.

    w0 is the run's first initialization. The sum has no factor 1/2, so that the gradient is 2 * strength * (w - w0).
    """

    strength: float = setting(1e-3, above=0)
    """The paper's lambda, of {1e-2 .. 1e-5} there."""

    def hooks(self, net: BlockNet, context: Context) -> Hooks:
        return _Pull(context.initial(), self.strength)


class _Pull(Hooks):
    def __init__(self, initial: Mapping[str, Tensor], strength: float) -> None:
        self.initial, self.strength = initial, strength

    def penalty(self, net: nn.Module) -> Tensor:
        terms = [(value - self.initial[name]).square().sum() for name, value in net.named_parameters()]
        return self.strength * sum(terms[1:], terms[0])
