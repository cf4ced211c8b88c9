"""DASH: every kernel is shrunk where it points away from the loss's descent (Shin et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Reinitializer
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.parameters import is_kernel, norm_names, refuse_parametrized


@dataclass(frozen=True, kw_only=True)
class Dash(Reinitializer):
    """Before every round but the first, w <- w * clip(cos(G, w), floor, 1), piece by piece.

    G is a moving average of the negative gradients over the training data in order: G <- (1 - alpha) G - alpha grad,
    from zero, batch by batch, while the weights stay. A piece is the window of each (output, input) pair of a
    convolution, each row of a dense kernel, each bias as a whole. Norms stay. A piece that is zero has cosine 0.

    The authors' code (baekrok/DASH-Direction-Aware-SHrinking, utils/train_utils.py) takes batches as large as a chunk
    of its growing data, so that the newest chunk weighs alpha; with small batches G holds the last few of them. It
    also takes a G of norm below 1e-8 for a short one; here only its direction counts.
    """

    alpha: float = setting(0.3, above=0, most=1)
    """Weight of a new batch in the average G."""
    floor: float = setting(0.3, least=0, most=1)
    """The smallest factor (the paper's lambda). Han et al. (2026) tuned it to 0.05, with alpha from 0.1 to 0.3."""
    batch_size: int = setting(128, least=1)
    """Examples per gradient."""

    def transform(self, net: BlockNet, context: Context) -> None:
        if context.round.index == 1:
            return
        names = shrinkable(net)
        refuse_parametrized(net, names, self)
        average = {name: torch.zeros_like(value) for name, value in net.named_parameters() if name in names}
        for gradients in context.gradients(net, self.batch_size):
            for name, mean in average.items():
                mean.mul_(1 - self.alpha).sub_(gradients[name], alpha=self.alpha)
        parameters = dict(net.named_parameters())
        for name, mean in average.items():
            weights, directions = pieces(parameters[name]), pieces(mean)
            factor = cosine(weights, directions).clamp(self.floor, 1.0)
            parameters[name].mul_(factor.to(mean.dtype).reshape(*factor.shape, *[1] * (mean.dim() - factor.dim())))


def shrinkable(net: BlockNet) -> set[str]:
    """Kernels and biases, without the norms' scales and shifts (and a transformer's tokens and tables)."""
    return {name for name, value in net.named_parameters() if is_kernel(name, value) or value.dim() < 2} - set(
        norm_names(net)
    )


def pieces(value: Tensor) -> Tensor:
    """A parameter's pieces, in the last dimension: (out, in, window) of a convolution, (out, in) of a dense kernel."""
    return value.detach().flatten(2) if value.dim() > 2 else value.detach()


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """The cosines over the last dimension, in double precision; 0 where a vector is zero."""
    a, b = a.double(), b.double()
    # Each to its largest element first: the squares of tiny gradients would be zero.
    a, b = (x / x.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny) for x in (a, b))
    norms = a.norm(dim=-1) * b.norm(dim=-1)
    return torch.where(norms > 0, (a * b).sum(-1) / norms, 0.0)
