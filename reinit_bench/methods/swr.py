"""SWR, soft weight rescaling: each kernel's norm is pulled to its initial norm at every step (Oh et al. 2025)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reinit_bench.core.hooks import Hooks
from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Reinitializer
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.parameters import NORMS, kernel_names, norm_carrier, refuse_parametrized


@dataclass(frozen=True, kw_only=True)
class Swr(Reinitializer):
    """w <- c w, c = (strength * norm(w0) + (1 - strength) * norm(w)) / norm(w), per kernel, after each step.

    Frobenius norms of whole tensors; w0 is the run's first initialization. It is LW's rescaling made continuous;
    nothing is reset between rounds. The paper also scales norms and biases, `proportional=true`: a norm's scale is a
    kernel, and a bias is multiplied by its layer's c, from the last norm on (or the first layer, without norms) by the
    product of all c since, so that a network without branches only scales its output. (Its printed algorithm carries
    one factor too many into the last norm's shift; this follows its argument.)
    """

    strength: float = setting(1e-3, above=0, most=1)
    """The paper's lambda; 1 pins the norms."""
    proportional: bool = setting(False)
    """Also scale norms and biases, as in the paper."""

    def hooks(self, net: BlockNet, context: Context) -> Hooks:
        if not self.proportional:
            carriers = {norm_carrier(net, name) for name in kernel_names(net)} - context.fixed - {None}
            return _Kernels({name: context.initial_norms[name] for name in carriers if name}, self.strength)
        refuse_parametrized(net, context.initial_norms, self)
        return _Layers(net, context.initial(), self.strength)


def factor(weight: Tensor, initial_norm: Tensor | float, strength: float) -> Tensor:
    """c, a scalar tensor; 1 for a tensor of zeros, whose norm no factor changes."""
    norm = torch.linalg.vector_norm(weight)
    return torch.where(norm > 0, (strength * initial_norm + (1 - strength) * norm) / norm, 1.0)


class _Kernels(Hooks):
    def __init__(self, norms: Mapping[str, float], strength: float) -> None:
        self.norms, self.strength = norms, strength

    def after_step(self, net: nn.Module) -> None:
        for name, value in net.named_parameters():
            if name in self.norms:
                value.mul_(factor(value, self.norms[name], self.strength))


class _Layers(Hooks):
    """Every layer's weight and bias, in the order in which the network names them."""

    def __init__(self, net: nn.Module, initial: Mapping[str, Tensor], strength: float) -> None:
        self.strength = strength
        self.norms = {
            name: torch.linalg.vector_norm(initial[f"{name}.weight"])
            for name, module in net.named_modules()
            if f"{name}.weight" in initial
        }
        last = [index for index, name in enumerate(self.norms) if isinstance(net.get_submodule(name), NORMS)]
        self.accumulates_from = last[-1] if last else 0

    def after_step(self, net: nn.Module) -> None:
        product: Tensor | float = 1.0
        for index, (name, norm) in enumerate(self.norms.items()):
            layer = net.get_submodule(name)
            c = factor(layer.get_parameter("weight"), norm, self.strength)
            layer.get_parameter("weight").mul_(c)
            product = product * c if index > self.accumulates_from else c
            if getattr(layer, "bias", None) is not None:
                layer.get_parameter("bias").mul_(product)
