"""Which kernels read and write which channels, found by following a network's forward pass.

A convolution or dense layer reads the channels of its input and writes new ones. Norms, activation functions, pooling,
dropout and depthwise convolutions keep them: channel c of the output is channel c of the input. What is added or
multiplied shares its channels. All tensors of the same channels are one space.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from torch import fx, nn

from reinit_bench.core.settings import ConfigError
from reinit_bench.models.blocknet import Dropout, Lambda
from reinit_bench.models.channels import Channels, Kernel, Space, Vector
from reinit_bench.models.parameters import NORMS, kernel_names, modes_kept


class NotFollowed(ConfigError):
    """A network does something with its channels that cannot be followed."""


def channels_of(net: nn.Module, method: str) -> Channels:
    """Follow the forward pass of `net`, a classifier of one input, in evaluation mode.

    Args:
        method: the method that needs it, for the message.

    Raises:
        NotFollowed: the forward pass cannot be traced, or does with the channels what this module's text does not name:
            concatenation, reshapes other than flattening, attention, convolutions in groups.
    """
    try:
        return _Walk(net).channels()
    except _Unknown as error:
        reason = f"the network's channels cannot be followed through {error}"
        raise NotFollowed(f"method {method} does not apply: {reason}") from error.__cause__


class _Unknown(Exception):
    """The message says through what the channels cannot be followed."""


_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_POOLS = (
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
)
_THAT_KEEP = (nn.Identity, nn.modules.dropout._DropoutNd, Dropout, Lambda)

# Torch's layers, functions and methods of tensors, by name in lower case and without underscores.
_ACTIVATION_NAME = re.compile(
    "relu6?|hardtanh|leakyrelu|elu|selu|celu|gelu|silu|mish|sigmoid|tanh|softplus|hardswish|hardsigmoid"
)
_POOL_NAME = re.compile("(adaptive)?(max|avg)pool2d")
_NAMES_THAT_KEEP = {"dropout", "dropout2d", "stochasticdepth", "contiguous", "clone"}
_JOINING_NAMES = {"add", "iadd", "sub", "isub", "mul", "imul", "truediv", "itruediv", "div"}


class _Tracer(fx.Tracer):
    """Looks into all layers but those that are understood whole, and PyTorch's."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        whole = isinstance(m, (nn.Linear, *_CONVOLUTIONS, *NORMS, *_POOLS, *_THAT_KEEP))
        return whole or super().is_leaf_module(m, module_qualified_name)


_ANY, _IMAGE, _FLAT, _VECTOR = "any", "image", "flat", "vector"
"""The forms of a tensor: unknown (the input); (n, C, *positions); the same flattened; (n, C)."""


@dataclass(frozen=True)
class _Value:
    """What is known of a tensor on its way."""

    space: Space
    form: str
    source: Kernel | None = None
    """The kernel that wrote it; None: several, or none."""


class _Walk:
    """Goes through the graph of a forward pass, node by node."""

    def __init__(self, net: nn.Module) -> None:
        self.graph = _traced(net)
        self.modules = dict(net.named_modules())
        self.unused = [name for name, _ in net.named_parameters()]
        self.values: dict[fx.Node, _Value] = {}
        self.spaces: list[Space] = []
        self.kernels: list[Kernel] = []
        self.vectors: list[Vector] = []
        self.ranks: dict[Kernel, int] = {}
        """Of the node that gives a kernel's active output: an activation function 2, a norm 1, the kernel itself 0."""

    def channels(self) -> Channels:
        kernels = kernel_names(self.modules[""])
        for node in self.graph.nodes:
            self._visit(node)
        missing = [name for name in kernels if name in self.unused]
        if missing:
            raise _Unknown(f"the layer of {missing[0]}")
        if not all(space.channels for space in self.spaces):
            raise _Unknown("the network's input, which no layer reads")
        return Channels(tuple(self.spaces), tuple(self.kernels), tuple(self.vectors), self.graph)

    def _new_space(self, channels: int, *, is_input: bool = False) -> Space:
        self.spaces.append(Space(channels, is_input=is_input))
        return self.spaces[-1]

    def _visit(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            if not self.spaces:
                self.values[node] = _Value(self._new_space(0, is_input=True), _ANY)
        elif node.op == "output":
            (output,) = node.args
            if not isinstance(output, fx.Node) or output not in self.values:
                raise _Unknown("an output that is not one tensor")
            self.values[output].space.is_output = True
        elif any(operand in self.values for operand in node.all_input_nodes):
            # What has no channels (a parameter of a custom layer, a constant) is looked at where it meets some.
            self.values[node] = self._value(node)

    def _value(self, node: fx.Node) -> _Value:
        """What is known of what this node puts out."""
        layer, name = self._layer(node), self._name(node)
        if name in _JOINING_NAMES:
            return self._joined(node, name)
        if len(node.all_input_nodes) != 1:
            raise _unknown(node, name)
        value, plain = self.values[node.all_input_nodes[0]], name.replace("_", "").lower()
        if isinstance(layer, nn.Linear):
            return self._dense(node, layer, value)
        if isinstance(layer, _CONVOLUTIONS):
            return self._convolution(node, layer, value)
        if isinstance(layer, NORMS):
            return self._norm(node, layer, value)
        if _ACTIVATION_NAME.fullmatch(plain):
            self._improve(node, value, rank=2)
            return value
        if isinstance(layer, _POOLS) or _POOL_NAME.fullmatch(plain):
            if value.form not in (_ANY, _IMAGE):
                raise _unknown(node, "a pooling of vectors")
            return value
        if isinstance(layer, _THAT_KEEP) or plain in _NAMES_THAT_KEEP:
            return value
        if plain == "flatten" and _flattened_dims(node, layer) == [1, -1]:
            return value if value.form == _VECTOR else replace(value, form=_FLAT)
        if plain == "mean":
            return self._averaged(node, value)
        raise _unknown(node, name)

    def _layer(self, node: fx.Node) -> nn.Module | None:
        return self.modules[str(node.target)] if node.op == "call_module" else None

    def _name(self, node: fx.Node) -> str:
        """Of a layer its class, of a function or a tensor's method its name, without the underscore of "in place"."""
        layer = self._layer(node)
        if layer is not None:
            return type(layer).__name__
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        return name.removesuffix("_")

    def _convolution(self, node: fx.Node, layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, value: _Value) -> _Value:
        if value.form not in (_ANY, _IMAGE):
            raise _unknown(node, "a convolution of vectors")
        # With one channel, there is nothing to tell a depthwise convolution from an ordinary one, as which it counts.
        is_depthwise = 1 < layer.groups == layer.in_channels == layer.out_channels
        if layer.groups > 1 and not is_depthwise:
            raise _unknown(node, "a convolution in groups")
        self._repeats(node, value, layer.in_channels)
        writes = value.space if is_depthwise else self._new_space(layer.out_channels)
        return self._written(node, layer, value.space, _Value(writes, _IMAGE), 1, is_depthwise)

    def _dense(self, node: fx.Node, layer: nn.Linear, value: _Value) -> _Value:
        if value.form == _IMAGE:
            raise _unknown(node, "a dense layer of images that are not flattened")
        repeats = self._repeats(node, value, layer.in_features)
        writes = self._new_space(layer.out_features)
        return self._written(node, layer, value.space, _Value(writes, _VECTOR), repeats, is_depthwise=False)

    def _written(
        self, node: fx.Node, layer: nn.Module, reads: Space, value: _Value, repeats: int, is_depthwise: bool
    ) -> _Value:
        """Note a kernel, and its bias, that writes `value`."""
        name = self._parameter(node, "weight")
        before = node.all_input_nodes[0].name
        kernel = Kernel(name, reads, value.space, repeats, is_depthwise, read=before, active=node.name)
        self.kernels.append(kernel)
        self.ranks[kernel] = 0
        if layer.bias is not None:
            self.vectors.append(Vector(self._parameter(node, "bias"), value.space, 1))
        return replace(value, source=kernel)

    def _norm(self, node: fx.Node, norm: nn.Module, value: _Value) -> _Value:
        if isinstance(norm, (nn.LayerNorm, nn.RMSNorm)) and (value.form == _IMAGE or len(norm.normalized_shape) > 1):
            raise _unknown(node, f"{type(norm).__name__} of images")
        parameters = dict(norm.named_parameters(recurse=False))
        for name, parameter in parameters.items():
            repeats = self._repeats(node, value, len(parameter))
            self.vectors.append(Vector(self._parameter(node, name), value.space, repeats))
        self._improve(node, value, rank=2 if getattr(norm, "relu", False) else 1)
        return value

    def _improve(self, node: fx.Node, value: _Value, rank: int) -> None:
        """Take this node for the active output of the kernel that wrote `value`, unless it has a better one."""
        if value.source is not None and rank >= self.ranks[value.source]:  # of the same rank the last counts
            value.source.active, self.ranks[value.source] = node.name, rank

    def _averaged(self, node: fx.Node, value: _Value) -> _Value:
        """The mean over all pixels."""
        dims, keeps = _arguments(node, dim=None, keepdim=False)
        is_over_pixels = isinstance(dims, (list, tuple)) and sorted(dims) in ([2, 3], [-2, -1])
        if value.form not in (_ANY, _IMAGE) or not is_over_pixels:
            raise _unknown(node, "a mean over other dimensions than the pixels'")
        return value if keeps else replace(value, form=_VECTOR)

    def _joined(self, node: fx.Node, name: str) -> _Value:
        """The sum, product or the like of tensors, or of a tensor and a number."""
        operands = [operand for operand in (*node.args, *node.kwargs.values()) if isinstance(operand, fx.Node)]
        if any(operand not in self.values for operand in operands):
            raise _unknown(node, f"{name} with a tensor that has no channels")
        first, *others = (self.values[operand] for operand in operands)
        for other in others:
            if _ANY not in (first.form, other.form) and (first.form == _IMAGE) != (other.form == _IMAGE):
                raise _unknown(node, f"{name} of images and vectors")
            space = self._join(node, name, first.space, other.space)
            first = _Value(space, other.form if first.form in (_ANY, _FLAT) else first.form)
        return first

    def _join(self, node: fx.Node, name: str, one: Space, other: Space) -> Space:
        """Make both spaces one, and return it."""
        if one.channels and other.channels and one.channels != other.channels:
            raise _unknown(node, f"{name} of different numbers of channels")
        one, other = sorted((one, other), key=self.spaces.index)
        one.is_joined = True
        if other is one:
            return one
        one.channels, one.is_input = one.channels or other.channels, one.is_input or other.is_input
        self.spaces.remove(other)
        self.values = {
            where: replace(value, space=one) if value.space is other else value for where, value in self.values.items()
        }
        for kernel in self.kernels:
            kernel.reads, kernel.writes = (one if space is other else space for space in (kernel.reads, kernel.writes))
        for vector in self.vectors:
            vector.space = one if vector.space is other else vector.space
        return one

    def _repeats(self, node: fx.Node, value: _Value, size: int) -> int:
        """How many of a layer's `size` inputs belong to one channel of `value`."""
        channels = value.space.channels
        if not channels:  # the network's input: its first layer tells the size
            value.space.channels = size
            return 1
        if size % channels or (size != channels and value.form != _FLAT):
            raise _unknown(node, f"a layer of {size} inputs that gets {channels} channels")
        return size // channels

    def _parameter(self, node: fx.Node, name: str) -> str:
        """The full name of a layer's parameter, which must belong to this call of this layer alone."""
        full = f"{node.target}.{name}"
        if full not in self.unused:
            raise _unknown(node, "weights that are computed, or used more than once")
        self.unused.remove(full)
        return full


def _traced(net: nn.Module) -> fx.Graph:
    for name, layer in net.named_modules():
        if isinstance(layer, nn.MultiheadAttention):  # named first: tracing would stumble over what is around it
            raise _Unknown(f"{type(layer).__name__} in layer {name}")
    with modes_kept(net):
        net.eval()
        try:
            return _Tracer().trace(net)
        except Exception as error:  # whatever a forward pass raises if it gets no tensor
            reason = " ".join(str(error).split()) or type(error).__name__
            raise _Unknown(f"its forward pass, which cannot be traced ({reason})") from error


def _flattened_dims(node: fx.Node, layer: nn.Module | None) -> list[Any]:
    if isinstance(layer, nn.Flatten):
        return [layer.start_dim, layer.end_dim]
    return _arguments(node, start_dim=0, end_dim=-1)


def _arguments(node: fx.Node, **defaults: Any) -> list[Any]:
    """The values of these arguments, which follow a function's first, the tensor."""
    return [
        node.args[position] if position < len(node.args) else node.kwargs.get(name, default)
        for position, (name, default) in enumerate(defaults.items(), start=1)
    ]


def _unknown(node: fx.Node, what: str) -> _Unknown:
    """Says what was met in which layer."""
    stack = node.meta.get("nn_module_stack") or {}
    layer = node.target if node.op == "call_module" else next(reversed(stack), "")
    return _Unknown(f"{what} in layer {layer}" if layer else what)
