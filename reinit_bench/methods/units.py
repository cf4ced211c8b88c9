"""Units of a network, which are output channels of convolutions and outputs of dense layers; how one is recycled.

Left alone are the logits, and channels that several tensors are added (or multiplied) into.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from reinit_bench.core.hooks import Hooks
from reinit_bench.core.settings import ConfigError
from reinit_bench.methods.base import Context, Mask, Redraw, apply_mask
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.channel_tracing import channels_of
from reinit_bench.models.channels import Channels, Kernel, Space
from reinit_bench.models.initializers import initial_values
from reinit_bench.models.parameters import modes_kept

_CHUNK = 32  # examples at a time: block 1 of vgg16 outputs 13 MB per image at 224x224


@torch.no_grad()
def look(
    net: BlockNet, channels: Channels, inputs: Tensor, see: Callable[[Kernel, Tensor], None], *, read: bool = False
) -> None:
    """Send inputs through the network in evaluation mode, a part at a time; see `Channels.run`."""
    with modes_kept(net):
        net.eval()
        for part in torch.split(inputs, _CHUNK):
            channels.run(net, part, see, read=read)


def recyclable(channels: Channels) -> list[Space]:
    """The spaces whose channels are units, in the order of the forward pass."""
    spaces = dict.fromkeys(kernel.writes for kernel in channels.kernels)
    return [space for space in spaces if not (space.is_input or space.is_output or space.is_joined)]


def recycle(
    net: BlockNet,
    channels: Channels,
    units: Mapping[Space, Tensor],
    method: Redraw,
    context: Context,
    *purpose: str | int,
    disconnect: bool = True,
) -> Mask:
    """Redraw what writes these units, bool (channels,), from this stream, and set what reads them to zero, in place.

    Args:
        disconnect: whether what reads them is set to zero.

    Returns:
        Which elements of which parameters were set.
    """
    incoming, outgoing = (
        {name: chosen for name, chosen in mask.items() if name not in context.fixed}
        for mask in _touched(net, channels, units)
    )
    fresh = initial_values(net, context.initializer, incoming, context.seed, *purpose)
    apply_mask(net, incoming, method.scaled(fresh))
    if not disconnect:
        return incoming
    parameters = dict(net.named_parameters())
    apply_mask(net, outgoing, {name: torch.zeros_like(parameters[name]) for name in outgoing})
    return {**incoming, **{name: mask | incoming.get(name, mask) for name, mask in outgoing.items()}}


def _touched(net: BlockNet, channels: Channels, units: Mapping[Space, Tensor]) -> tuple[Mask, Mask]:
    """Masks of what is redrawn and of what is zeroed."""
    parameters = dict(net.named_parameters())
    vectors = [vector for vector in channels.vectors if vector.space in units]
    incoming = {vector.name: vector.of(units[vector.space]) for vector in vectors}
    outgoing = {}
    for kernel in channels.kernels:
        value = parameters[kernel.name]
        if kernel.writes in units:
            incoming[kernel.name] = kernel.writing(units[kernel.writes], value)
        if kernel.reads in units and not kernel.is_depthwise:
            outgoing[kernel.name] = kernel.reading(units[kernel.reads], value)
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


class WatchingUnits(Hooks):
    """Base of what looks at every unit in each step: keeps the step's inputs, and recycles units.

    Units are looked at in evaluation mode, in a forward pass of their own, so that dropout and compilation change
    nothing.
    """

    def __init__(self, method: Redraw, name: str, net: BlockNet, context: Context) -> None:
        self.method, self.name, self.context = method, name, context
        self.channels = channels_of(net, name)
        self.spaces = recyclable(self.channels)
        self.steps = 0
        self._inputs: Tensor | None = None

    def targets(self, inputs: Tensor, labels: Tensor) -> Tensor:
        self._inputs = inputs
        return labels

    def inputs(self) -> Tensor:
        """This step's."""
        if self._inputs is None:
            raise ConfigError(f"{self.name} looks at every minibatch: call hooks.targets(inputs, labels) in each step")
        return self._inputs

    def zeros(self, net: BlockNet) -> list[Tensor]:
        """A count of zero for each unit of each space."""
        device = next(net.parameters()).device
        return [torch.zeros(space.channels, dtype=torch.int64, device=device) for space in self.spaces]

    def replace(self, net: BlockNet, units: Mapping[Space, Tensor], *purpose: str | int) -> None:
        """Recycle units, with their share of BatchNorm's statistics and of the optimizer's moments."""
        where = (self.name, self.context.round.index, self.steps, *purpose)
        mask = recycle(net, self.channels, units, self.method, self.context, *where)
        for vector in self.channels.vectors:
            layer = net.get_submodule(vector.name.rpartition(".")[0])
            if vector.space in units and isinstance(layer, nn.modules.batchnorm._BatchNorm):
                for value, fresh in ((layer.running_mean, 0.0), (layer.running_var, 1.0)):
                    if value is not None:
                        value.masked_fill_(vector.of(units[vector.space]), fresh)
        if self.optimizer is not None:
            clear_moments(net, self.optimizer, mask)
