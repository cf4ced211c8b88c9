"""ReDo: units that are hardly active are recycled (Sokar et al. 2023, "The dormant neuron phenomenon")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reinit_bench.core.hooks import Hooks
from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Mask, Redraw, apply_mask
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.channel_tracing import channels_of
from reinit_bench.models.channels import Channels, Kernel, Space
from reinit_bench.models.initializers import initial_values
from reinit_bench.models.parameters import modes_kept

_CHUNK = 32  # examples at a time: block 1 of vgg16 outputs 13 MB per image at 224x224


@dataclass(frozen=True, kw_only=True)
class Redo(Redraw):
    """Units with a score of at most tau get fresh incoming weights, and outgoing weights of zero.

    A unit is an output channel of a convolution or an output of a dense layer. Its score is its mean |activation| over
    a sample and all positions, divided by the mean of that over the layer's units: after norm and activation function,
    in evaluation mode, and for all layers before anything changes. A layer that is never active scores 0 throughout.

    A dormant unit's incoming weights are drawn from the model's initializer; its bias becomes 0, its norms' scale and
    shift 1 and 0 (a very negative shift would keep it dormant). Its outgoing weights become 0, also where they are
    another dormant unit's incoming ones. What the optimizer has accumulated for all these elements is cleared, its
    count of steps kept. A norm whose statistics are over all channels passes a recycled unit's new values on to the
    others, so that recycling even a dead unit changes what the network computes.

    Left alone are the logits, and channels that several tensors are added (or multiplied) into: in the authors' code,
    too, only the first convolution of a residual block is eligible. A depthwise convolution carries its channels on: a
    channel is one unit from the kernel that writes it to those that read it, dormant if its score is at either end,
    and its depthwise window is redrawn (zeroed as an outgoing weight, it could not learn again).

    The authors' code (google/dopamine, labs/redo/weight_recyclers.py) draws Xavier uniform values, knows no norms, does
    not clear the biases' moments, and measures on another sample each time; its tau is 0, and 0.1 that of public ports.
    Periods there are 1,000 to 200,000 gradient steps, which mean little for another dataset; 10 epochs are the period
    of `hare`, and the trainer's patience holds several.

    Raises:
        NotFollowed: the network's channels cannot be followed (see `channel_tracing`); in the first round already.
    """

    tau: float = setting(0.1, least=0)
    """Units with a score of at most this are recycled."""
    every: int | str = setting(10, least=1, choices=("round",))
    """Epochs between two recyclings, counted in each round; or `round`: at the start of every round but the first, when
    an optimizer that is carried over keeps what it has accumulated."""
    sample_examples: int = setting(256, least=1)
    """Number of training examples over which the scores are taken."""

    def transform(self, net: BlockNet, context: Context) -> None:
        if self.every == "round":
            channels = channels_of(net, "redo")
            if context.round.index > 1:
                self.recycle(net, channels, context, epoch=0)

    def hooks(self, net: BlockNet, context: Context) -> Hooks | None:
        if isinstance(self.every, str):
            return None
        return _Recycling(self, self.every, channels_of(net, "redo"), context)

    def recycle(self, net: BlockNet, channels: Channels, context: Context, epoch: int) -> Mask:
        """Recycle the dormant units, in place; returns which elements of which parameters it has set."""
        scores = unit_scores(net, channels, context.sample(self.sample_examples))
        incoming, outgoing = (
            {name: chosen for name, chosen in mask.items() if name not in context.fixed}
            for mask in _touched(net, channels, dormant_units(channels, scores, self.tau))
        )
        purpose = ("redo", context.round.index, epoch)
        fresh = initial_values(net, context.initializer, incoming, context.seed, *purpose)
        apply_mask(net, incoming, self.scaled(fresh))
        parameters = dict(net.named_parameters())
        apply_mask(net, outgoing, {name: torch.zeros_like(parameters[name]) for name in outgoing})
        return {**incoming, **{name: mask | incoming.get(name, mask) for name, mask in outgoing.items()}}


class _Recycling(Hooks):
    def __init__(self, method: Redo, every: int, channels: Channels, context: Context) -> None:
        self.method, self.every, self.channels, self.context = method, every, channels, context
        self.epochs = 0

    def after_epoch(self, net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        assert isinstance(net, BlockNet)
        self.epochs += 1
        if self.epochs % self.every == 0:
            clear_moments(net, optimizer, self.method.recycle(net, self.channels, self.context, self.epochs))

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self.epochs}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epochs = state["epochs"]


@torch.no_grad()
def unit_scores(net: BlockNet, channels: Channels, sample: Tensor) -> dict[str, Tensor]:
    """Each kernel's scores, float64 (outputs,), by the kernel's name; 0 throughout a layer without any activity."""
    sums: dict[str, Tensor] = {}

    def add(kernel: Kernel, active: Tensor) -> None:
        magnitude = active.abs().sum(dim=(0, 2), dtype=torch.float64)
        sums[kernel.name] = sums.get(kernel.name, 0) + magnitude

    with modes_kept(net):
        net.eval()
        for part in torch.split(sample, _CHUNK):
            channels.run(net, part, add)
    # Sums do for means: the score is a ratio of two over the same examples and positions.
    return {name: torch.where(total > 0, total / total.mean(), 0.0) for name, total in sums.items()}


def dormant_units(channels: Channels, scores: Mapping[str, Tensor], tau: float) -> dict[Space, Tensor]:
    """Which units of each space are dormant, bool (channels,); spaces without any, or left alone, are missing."""
    found: dict[Space, Tensor] = {}
    for kernel in channels.kernels:
        space = kernel.writes
        if not (space.is_input or space.is_output or space.is_joined):
            units = scores[kernel.name] <= tau
            found[space] = found.get(space, units) | units
    return {space: units for space, units in found.items() if bool(units.any())}


def _touched(net: BlockNet, channels: Channels, dormant: Mapping[Space, Tensor]) -> tuple[Mask, Mask]:
    """Masks of what is redrawn and of what is zeroed."""
    parameters = dict(net.named_parameters())
    vectors = [vector for vector in channels.vectors if vector.space in dormant]
    incoming = {vector.name: vector.of(dormant[vector.space]) for vector in vectors}
    outgoing = {}
    for kernel in channels.kernels:
        value = parameters[kernel.name]
        if kernel.writes in dormant:
            incoming[kernel.name] = kernel.writing(dormant[kernel.writes], value)
        if kernel.reads in dormant and not kernel.is_depthwise:
            outgoing[kernel.name] = kernel.reading(dormant[kernel.reads], value)
    return incoming, outgoing


def clear_moments(net: BlockNet, optimizer: torch.optim.Optimizer, mask: Mask) -> None:
    """Set to zero what the optimizer has accumulated for these elements: momentum, first and second moments."""
    parameters = dict(net.named_parameters())
    for name, chosen in mask.items():
        parameter = parameters[name]
        for value in optimizer.state.get(parameter, {}).values():
            # Not the count of steps, which is a scalar for the whole parameter.
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                value.masked_fill_(chosen, 0.0)
