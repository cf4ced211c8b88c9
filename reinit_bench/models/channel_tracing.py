"""Which kernels read and write which channels, found by following a network's forward pass.

A convolution or dense layer reads the channels of its input and writes new ones. Norms, activation functions, pooling,
dropout and depthwise convolutions keep them: channel c of the output is channel c of the input. What is added or
multiplied shares its channels. All tensors of the same channels are one space.
"""

from __future__ import annotations

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
_ACTIVATIONS = (
    nn.ReLU,
    nn.Hardtanh,  # ReLU6 too
    nn.LeakyReLU,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Sigmoid,
    nn.Tanh,
    nn.Softplus,
    nn.Hardswish,
    nn.Hardsigmoid,
)
_POOLS = (
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
)
_OTHERS_THAT_KEEP = (nn.Identity, nn.modules.dropout._DropoutNd, Dropout, Lambda)

# Functions and methods of tensors, by name and without the underscore of those that work in place.
_ACTIVATION_NAMES = {
    "relu",
    "relu6",
    "hardtanh",
    "leaky_relu",
    "elu",
    "selu",
    "celu",
    "gelu",
    "silu",
    "mish",
    "sigmoid",
    "tanh",
    "softplus",
    "hardswish",
    "hardsigmoid",
}
_POOL_NAMES = {"max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"}
_NAMES_THAT_KEEP = {"dropout", "dropout2d", "stochastic_depth", "contiguous", "clone"}
_JOINING_NAMES = {"add", "iadd", "sub", "isub", "mul", "imul", "truediv", "itruediv", "div"}


class _Tracer(fx.Tracer):
    """Looks into all layers but those that are understood whole, and PyTorch's."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        whole = isinstance(m, (nn.Linear, *_CONVOLUTIONS, *NORMS, *_POOLS, *_OTHERS_THAT_KEEP))
        return whole or super().is_leaf_module(m, module_qualified_name)


_ANY, _IMAGE, _FLAT, _VECTOR = "any", "image", "flat", "vector"
"""The forms of a tensor: unknown (the input); (n, C, *positions); the same flattened; (n, C)."""


@dataclass(frozen=True)
class _Value:
    """What is known of a tensor on its way."""

    space: int
    form: str
    source: int | None = None
    """The kernel that wrote it, counted in the order of the forward pass; None: several, or none."""


@dataclass
class _Active:
    """The node that gives a kernel's active output, as far as the walk has come."""

    node: str
    rank: int = 0
    """Of an activation function 2, of a norm 1, of the kernel itself 0; of nodes of the same rank the last counts."""


class _Spaces:
    """Spaces that turn out to be the same (union-find)."""

    def __init__(self) -> None:
        self.parent: list[int] = []
        self.sizes: list[int | None] = []
        self.joined: list[int] = []

    def new(self, size: int | None) -> int:
        self.parent.append(len(self.parent))
        self.sizes.append(size)
        return self.parent[-1]

    def root(self, space: int) -> int:
        while self.parent[space] != space:
            space = self.parent[space]
        return space

    def numbers(self) -> list[int]:
        """The number of each one's space, from 0 and without gaps."""
        roots = [self.root(space) for space in self.parent]
        order = list(dict.fromkeys(roots))
        return [order.index(root) for root in roots]

    def size(self, space: int) -> int | None:
        """The number of channels; None: not known yet."""
        return self.sizes[self.root(space)]

    def set_size(self, space: int, size: int) -> None:
        self.sizes[self.root(space)] = size

    def join(self, a: int, b: int) -> bool:
        """Make both one; False if their numbers of channels differ."""
        a, b = self.root(a), self.root(b)
        sizes = {size for size in (self.sizes[a], self.sizes[b]) if size is not None}
        if len(sizes) > 1:
            return False
        self.parent[b] = a
        self.sizes[a] = next(iter(sizes), None)
        self.joined.append(a)
        return True


class _Walk:
    """Goes through the graph of a forward pass, node by node."""

    def __init__(self, net: nn.Module) -> None:
        self.graph = _traced(net)
        self.modules = dict(net.named_modules())
        self.unused = [name for name, _ in net.named_parameters()]
        self.spaces = _Spaces()
        self.values: dict[fx.Node, _Value] = {}
        self.kernels: list[Kernel] = []
        self.active: list[_Active] = []
        self.vectors: list[Vector] = []
        self.inputs: list[int] = []
        self.outputs: list[int] = []

    def channels(self) -> Channels:
        kernels = kernel_names(self.modules[""])
        for node in self.graph.nodes:
            self._visit(node)
        missing = [name for name in kernels if name in self.unused]
        if missing:
            raise _Unknown(f"the layer of {missing[0]}")
        number = self.spaces.numbers()
        marks = [{number[space] for space in marked} for marked in (self.inputs, self.outputs, self.spaces.joined)]
        return Channels(
            spaces=tuple(self._space(number.index(n), *(n in marked for marked in marks)) for n in sorted(set(number))),
            kernels=tuple(
                replace(kernel, reads=number[kernel.reads], writes=number[kernel.writes], active=active.node)
                for kernel, active in zip(self.kernels, self.active, strict=True)
            ),
            vectors=tuple(replace(vector, space=number[vector.space]) for vector in self.vectors),
            graph=self.graph,
        )

    def _space(self, member: int, is_input: bool, is_output: bool, is_joined: bool) -> Space:
        size = self.spaces.size(member)
        if size is None:
            raise _Unknown("the network's input, which no layer reads")
        return Space(channels=size, is_input=is_input, is_output=is_output, is_joined=is_joined)

    def _visit(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            if not self.inputs:
                self.inputs.append(self.spaces.new(None))
                self.values[node] = _Value(self.inputs[0], _ANY)
        elif node.op == "output":
            (output,) = node.args
            if not isinstance(output, fx.Node) or output not in self.values:
                raise _Unknown("an output that is not one tensor")
            self.outputs.append(self.values[output].space)
        elif any(operand in self.values for operand in node.all_input_nodes):
            # What has no channels (a parameter of a custom layer, a constant) is looked at where it meets some.
            self.values[node] = self._module(node) if node.op == "call_module" else self._operation(node)

    def _module(self, node: fx.Node) -> _Value:
        value, module = self._operand(node), self.modules[str(node.target)]
        if isinstance(module, nn.Linear):
            return self._dense(node, module, value)
        if isinstance(module, _CONVOLUTIONS):
            return self._convolution(node, module, value)
        if isinstance(module, NORMS):
            return self._norm(node, module, value)
        if isinstance(module, _ACTIVATIONS):
            return self._activated(node, value)
        if isinstance(module, _POOLS):
            return self._pooled(node, value)
        if isinstance(module, _OTHERS_THAT_KEEP):
            return value
        if isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (1, -1):
            return _flattened(value)
        raise _unknown(node, self._name(node))

    def _operation(self, node: fx.Node) -> _Value:
        name = self._name(node)
        if name in _JOINING_NAMES:
            return self._joined(node, name)
        value = self._operand(node)
        if name in _ACTIVATION_NAMES:
            return self._activated(node, value)
        if name in _POOL_NAMES:
            return self._pooled(node, value)
        if name in _NAMES_THAT_KEEP:
            return value
        if name == "flatten" and _arguments(node, start_dim=0, end_dim=-1) == [1, -1]:
            return _flattened(value)
        if name == "mean":
            return self._averaged(node, value)
        raise _unknown(node, name)

    def _name(self, node: fx.Node) -> str:
        """Of a layer its class, of a function or a tensor's method its name, without the underscore of "in place"."""
        if node.op == "call_module":
            return type(self.modules[str(node.target)]).__name__
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        return name.removesuffix("_")

    def _operand(self, node: fx.Node) -> _Value:
        """What is known of the node's only tensor."""
        if len(node.all_input_nodes) != 1:
            raise _unknown(node, self._name(node))
        return self.values[node.all_input_nodes[0]]

    def _convolution(self, node: fx.Node, layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, value: _Value) -> _Value:
        if value.form not in (_ANY, _IMAGE):
            raise _unknown(node, "a convolution of vectors")
        # With one channel, there is nothing to tell a depthwise convolution from an ordinary one, as which it counts.
        is_depthwise = 1 < layer.groups == layer.in_channels == layer.out_channels
        if layer.groups > 1 and not is_depthwise:
            raise _unknown(node, "a convolution in groups")
        self._repeats(node, value, layer.in_channels)
        writes = value.space if is_depthwise else self.spaces.new(layer.out_channels)
        return self._written(node, layer, value.space, _Value(writes, _IMAGE), is_depthwise=is_depthwise)

    def _dense(self, node: fx.Node, layer: nn.Linear, value: _Value) -> _Value:
        if value.form == _IMAGE:
            raise _unknown(node, "a dense layer of images that are not flattened")
        repeats = self._repeats(node, value, layer.in_features)
        writes = self.spaces.new(layer.out_features)
        return self._written(node, layer, value.space, _Value(writes, _VECTOR), repeats=repeats)

    def _written(
        self,
        node: fx.Node,
        layer: nn.Module,
        reads: int,
        value: _Value,
        *,
        repeats: int = 1,
        is_depthwise: bool = False,
    ) -> _Value:
        """Note a kernel, and its bias, that writes `value`."""
        name, writes = self._parameter(node, "weight"), value.space
        self.kernels.append(
            Kernel(name=name, reads=reads, writes=writes, repeats=repeats, is_depthwise=is_depthwise, active=node.name)
        )
        self.active.append(_Active(node.name))
        if layer.bias is not None:
            self.vectors.append(Vector(name=self._parameter(node, "bias"), space=writes, repeats=1))
        return replace(value, source=len(self.kernels) - 1)

    def _norm(self, node: fx.Node, norm: nn.Module, value: _Value) -> _Value:
        if isinstance(norm, (nn.LayerNorm, nn.RMSNorm)) and (value.form == _IMAGE or len(norm.normalized_shape) > 1):
            raise _unknown(node, f"{type(norm).__name__} of images")
        parameters = dict(norm.named_parameters(recurse=False))
        for name, parameter in parameters.items():
            repeats = self._repeats(node, value, len(parameter))
            self.vectors.append(Vector(name=self._parameter(node, name), space=value.space, repeats=repeats))
        self._improve(node, value, rank=2 if getattr(norm, "relu", False) else 1)
        return value

    def _activated(self, node: fx.Node, value: _Value) -> _Value:
        self._improve(node, value, rank=2)
        return value

    def _improve(self, node: fx.Node, value: _Value, rank: int) -> None:
        """Take this node for the active output of the kernel that wrote `value`, unless it has a better one."""
        if value.source is not None and rank >= self.active[value.source].rank:
            self.active[value.source] = _Active(node.name, rank)

    def _pooled(self, node: fx.Node, value: _Value) -> _Value:
        if value.form not in (_ANY, _IMAGE):
            raise _unknown(node, "a pooling of vectors")
        return value

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
            if not self.spaces.join(first.space, other.space):
                raise _unknown(node, f"{name} of different numbers of channels")
            first = _Value(first.space, other.form if first.form in (_ANY, _FLAT) else first.form)
        return first

    def _repeats(self, node: fx.Node, value: _Value, size: int) -> int:
        """How many of a layer's `size` inputs belong to one channel of `value`."""
        channels = self.spaces.size(value.space)
        if channels is None:
            # The network's input: its first layer tells the size.
            self.spaces.set_size(value.space, size)
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


def _flattened(value: _Value) -> _Value:
    return value if value.form == _VECTOR else replace(value, form=_FLAT)


def _arguments(node: fx.Node, **defaults: Any) -> list[Any]:
    """The values of these arguments, which follow a function's first, the tensor."""
    return [
        node.args[place] if place < len(node.args) else node.kwargs.get(name, default)
        for place, (name, default) in enumerate(defaults.items(), start=1)
    ]


def _unknown(node: fx.Node, what: str) -> _Unknown:
    """Says what was met in which layer."""
    stack = node.meta.get("nn_module_stack") or {}
    layer = node.target if node.op == "call_module" else next(reversed(stack), "")
    return _Unknown(f"{what} in layer {layer}" if layer else what)
