"""FIRE: every kernel is replaced by its nearest orthogonal one (Han et al. 2026)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Reinitializer
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.parameters import kernel_names, refuse_parametrized


@dataclass(frozen=True, kw_only=True)
class Fire(Reinitializer):
    """Before every round but the first; nothing is drawn, biases and norms stay.

    A dense kernel W (out, in), and each (out, in) slice of a convolution, goes through `iterations` Newton-Schulz
    steps X <- 1.5 X - 0.5 X X^T X from X = W / norm(W) and is scaled by sqrt(out / in) / (height * width). Where a
    network has attention, only its query and key projections do (isaac7778/FIRE, vision/interventions/fire.py); the
    authors' code for language models takes every dense kernel: `scope=all`. Grouped convolutions are silent there: `in`
    is a group's, and a depthwise slice is one vector. A slice of zeros stays.

    Ten steps leave singular values below about 1/60 of the norm short of their aim (wide square kernels have some).
    """

    iterations: int = setting(10, least=1)
    """Newton-Schulz steps."""
    scope: str = setting("auto", choices=("auto", "all"))
    """auto: all kernels, but of a network with attention its queries and keys; all: all kernels in any case."""

    def transform(self, net: BlockNet, context: Context) -> None:
        if context.round.index == 1:
            return
        refuse_parametrized(net, kernel_names(net), self)
        projections = fused_projections(net)
        parameters = dict(net.named_parameters())
        for name in kernel_names(net):
            if name in projections:  # queries, keys and values in one tensor: each is a kernel
                parts = parameters[name].chunk(3)
                for part in parts if self.scope == "all" else parts[:2]:
                    part.copy_(isometry(part, self.iterations))
            elif not projections or self.scope == "all":
                parameters[name].copy_(isometry(parameters[name], self.iterations))


def fused_projections(net: BlockNet) -> set[str]:
    """Names of the kernels that hold an attention's queries, keys and values, one upon the other.

    Torch's own, and dense layers by the names that they have in torchvision's and timm's transformers.
    """
    found = set()
    for name, part in net.named_modules():
        if isinstance(part, nn.MultiheadAttention) and part.in_proj_weight is not None:
            found.add(f"{name}.in_proj_weight")
        elif isinstance(part, nn.Linear) and name.rpartition(".")[2] in ("qkv", "to_qkv"):
            found.add(f"{name}.weight")
    return found


def isometry(kernel: Tensor, iterations: int) -> Tensor:
    """A kernel (out, in, *window) with orthogonal slices of singular values sqrt(out / in) / (size of the window)."""
    outputs, inputs = kernel.shape[:2]
    slices = kernel.detach().flatten(2) if kernel.dim() > 2 else kernel.detach().unsqueeze(2)
    x = slices.permute(2, 0, 1)
    if inputs > outputs:
        x = x.mT
    norms = torch.linalg.matrix_norm(x, keepdim=True)
    x = x / torch.where(norms > 0, norms, 1.0)
    for _ in range(iterations):
        x = 1.5 * x - 0.5 * x @ (x.mT @ x)
    if inputs > outputs:
        x = x.mT
    scale = math.sqrt(outputs / inputs) / slices.shape[2]
    return (scale * x).permute(1, 2, 0).reshape(kernel.shape)
