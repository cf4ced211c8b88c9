"""Which kernels read and write which channels of a network; `channel_tracing` finds it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx, nn


@dataclass(eq=False)
class Space:
    """Channels that belong together."""

    channels: int
    """Their number; 0: not known yet."""
    is_input: bool = False
    """Whether they are the network's input."""
    is_output: bool = False
    """Whether they are the network's output: the head's logits."""
    is_joined: bool = False
    """Whether several tensors were added or multiplied into them, as in a residual stream."""


@dataclass(eq=False)
class Kernel:
    """A kernel of shape (out, in / groups, *window)."""

    name: str
    """Of the parameter."""
    reads: Space
    """What the second axis reads."""
    writes: Space
    """What the first axis writes."""
    repeats: int
    """How many successive elements of the second axis belong to one channel: H * W after a flattening, else 1."""
    is_depthwise: bool
    """Whether each channel is convolved on its own; reads and writes the same space."""
    read: str
    """The node of the graph that it reads: what those before it put out, pooled and flattened."""
    active: str
    """The node of the graph at which following layers find what it writes: after norm and activation function."""

    def writing(self, units: Tensor, kernel: Tensor) -> Tensor:
        """The elements that write the given channels: bool (channels,) to bool of the shape of `kernel`."""
        return units.reshape(-1, *[1] * (kernel.dim() - 1)).expand(kernel.shape)

    def reading(self, units: Tensor, kernel: Tensor) -> Tensor:
        """The elements that read the given channels: bool (channels,) to bool of the shape of `kernel`."""
        if self.is_depthwise:
            return self.writing(units, kernel)
        columns = units.repeat_interleave(self.repeats)
        return columns.reshape(1, -1, *[1] * (kernel.dim() - 2)).expand(kernel.shape)


@dataclass(eq=False)
class Vector:
    """A bias, or a norm's scale or shift."""

    name: str
    """Of the parameter."""
    space: Space
    repeats: int
    """How many successive elements belong to one channel."""

    def of(self, units: Tensor) -> Tensor:
        """The elements that belong to the given channels: bool (channels,) to bool of the parameter's shape."""
        return units.repeat_interleave(self.repeats)


@dataclass(frozen=True)
class Channels:
    """All spaces of a network, and the parameters that touch them, in the order of the forward pass."""

    spaces: tuple[Space, ...]
    kernels: tuple[Kernel, ...]
    vectors: tuple[Vector, ...]
    graph: fx.Graph

    def run(self, net: nn.Module, inputs: Tensor, see: Callable[[Kernel, Tensor], None], *, read: bool = False) -> None:
        """Send inputs through the network; `see` gets each kernel's active channels, (n, channels, positions).

        Args:
            read: instead of what a kernel writes, see what it reads.
        """
        seen: dict[str, list[Kernel]] = {}
        for kernel in self.kernels:
            seen.setdefault(kernel.read if read else kernel.active, []).append(kernel)

        class Seeing(fx.Interpreter):
            def run_node(self, node: fx.Node) -> Any:
                value = super().run_node(node)
                for kernel in seen.get(node.name, ()):
                    # At once: a later layer may overwrite the tensor in place.
                    space = kernel.reads if read else kernel.writes
                    see(kernel, value.reshape(len(value), space.channels, -1))
                return value

        Seeing(net, graph=self.graph).run(inputs)
