"""ReDo: units that are hardly active are recycled (Sokar et al. 2023, "The dormant neuron phenomenon")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reinit_bench.core.hooks import Hooks
from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context, Mask, Redraw
from reinit_bench.methods.gradients import gradient
from reinit_bench.methods.units import clear_moments, look, recyclable, recycle
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.channel_tracing import channels_of
from reinit_bench.models.channels import Channels, Kernel, Space

_SMALL = 1e-9  # keeps a layer without any gradient from dividing by zero


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

    With `score=gradient` this is ReGraMa (Liu et al. 2025): the score is the mean |gradient| of the unit's incoming
    kernel over the sample, divided by the layer's; outgoing weights stay, and so does the head, which its code
    (rippl-svg/grad-based-plasticity-metrics, utils/ReDo.py) redraws too. Its tau is 0, its period 1,000 steps.

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
    score: str = setting("activity", choices=("activity", "gradient"))
    """What makes a unit dormant: little activity, or little gradient of its incoming weights."""

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
        if self.score == "gradient":
            examples = context.examples(self.sample_examples)
            scores = gradient_scores(channels, gradient(net, *examples, context.micro_batch))
        else:
            scores = unit_scores(net, channels, context.sample(self.sample_examples))
        dormant, purpose = dormant_units(channels, scores, self.tau), ("redo", context.round.index, epoch)
        return recycle(net, channels, dormant, self, context, *purpose, disconnect=self.score == "activity")


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


def unit_scores(net: BlockNet, channels: Channels, sample: Tensor) -> dict[str, Tensor]:
    """Each kernel's scores, float64 (outputs,), by the kernel's name; 0 throughout a layer without any activity."""
    sums: dict[str, Tensor] = {}

    def add(kernel: Kernel, active: Tensor) -> None:
        magnitude = active.abs().sum(dim=(0, 2), dtype=torch.float64)
        sums[kernel.name] = sums.get(kernel.name, 0) + magnitude

    look(net, channels, sample, add)
    # Sums do for means: the score is a ratio of two over the same examples and positions.
    return {name: torch.where(total > 0, total / total.mean(), 0.0) for name, total in sums.items()}


def gradient_scores(channels: Channels, gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same of the gradients' magnitudes: each unit's mean over its incoming kernel, over that of the layer."""
    means = {kernel.name: gradients[kernel.name].flatten(1).abs().mean(1) for kernel in channels.kernels}
    return {name: mean / (mean.mean() + _SMALL) for name, mean in means.items()}


def dormant_units(channels: Channels, scores: Mapping[str, Tensor], tau: float) -> dict[Space, Tensor]:
    """Which units of each space are dormant, bool (channels,); spaces without any, or left alone, are missing."""
    found: dict[Space, Tensor] = {}
    spaces = recyclable(channels)
    for kernel in channels.kernels:
        if kernel.writes in spaces:
            units = scores[kernel.name] <= tau
            found[kernel.writes] = found.get(kernel.writes, units) | units
    return {space: units for space, units in found.items() if bool(units.any())}
