"""Parseval regularization: the loss pulls every kernel towards orthogonal rows (Chung et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reinit_bench.core.hooks import Hooks
from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Reinitializer
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.parameters import kernel_names, norm_names, refuse_parametrized


@dataclass(frozen=True, kw_only=True)
class Parseval(Reinitializer):
    """The loss gains strength * (sum norm(W W^T - scale I)^2 + sum (g^2 - scale)^2); nothing is reset between rounds.

    W is a kernel as a matrix (out, rest), the head's too; g are the scales of the norms. Kernels of more outputs than
    inputs cannot have orthogonal rows, and are pulled towards them all the same, as in isaac7778/FIRE.
    """

    strength: float = setting(1e-4, above=0)
    """Of the penalty; 1e-5 to 1e-3 there."""
    scale: float = setting(1.0, above=0)
    """The squared length of a row."""

    def hooks(self, net: BlockNet, context: Context) -> Hooks:
        refuse_parametrized(net, kernel_names(net), self)
        return _Isometry(net, self.strength, self.scale)


class _Isometry(Hooks):
    def __init__(self, net: BlockNet, strength: float, scale: float) -> None:
        self.strength, self.scale = strength, scale
        self.kernels = frozenset(kernel_names(net))
        self.scales = frozenset(name for name in norm_names(net) if name.endswith(".weight"))

    def penalty(self, net: nn.Module) -> Tensor:
        total: Tensor | float = 0.0
        for name, value in net.named_parameters():
            if name in self.kernels:
                rows = value.flatten(1)
                identity = torch.eye(len(rows), dtype=rows.dtype, device=rows.device)
                total = total + (rows @ rows.T - self.scale * identity).square().sum()
            elif name in self.scales:
                total = total + (value.square() - self.scale).square().sum()
        return self.strength * torch.as_tensor(total)
