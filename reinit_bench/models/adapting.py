"""What is changed in a network that others have written, so that it takes part like this suite's own.

All functions work in place, and keep the values of what stays; parameters keep their names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from reinit_bench.models.blocknet import Dropout
from reinit_bench.models.layers import BatchNorm, Norm

M = TypeVar("M", bound=nn.Module)


class Head(nn.Linear):
    """A classifier head with dropout before it."""

    def __init__(self, inputs: int, outputs: int, rate: float) -> None:
        super().__init__(inputs, outputs)
        self.dropout = Dropout(rate)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.dropout(x))


def replace_all(model: nn.Module, kind: type[M], new: Callable[[M], nn.Module]) -> int:
    """Put `new(layer)` in the place of every layer of this kind; returns how many there were."""
    found = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, kind)]
    for name, layer in found:
        model.set_submodule(name, new(layer))
    return len(found)


def replace_norms(model: nn.Module, kind: str, epsilon: float | None) -> int:
    """Replace every BatchNorm by the norm of this kind (see `layers.Norms`); returns how many there were.

    Args:
        epsilon: added to the variance; None: what each layer has.
    """

    def group(old: nn.BatchNorm2d) -> nn.Module:
        return Norm(old.num_features, old.eps if epsilon is None else epsilon)

    def batch(old: nn.BatchNorm2d) -> nn.Module:
        new = BatchNorm(old.num_features, old.eps if epsilon is None else epsilon)
        new.momentum = old.momentum
        new.load_state_dict(old.state_dict())
        return new

    count = replace_all(model, nn.BatchNorm2d, {"group": group, "batch": batch, "none": lambda _: nn.Identity()}[kind])
    if count and kind == "none":
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is None:
                layer.bias = nn.Parameter(torch.zeros(layer.out_channels))
    return count


def replace_dropouts(model: nn.Module, rate: float) -> int:
    """Replace every dropout layer by one whose masks resume with the run; returns how many there were."""
    return replace_all(model, nn.Dropout, lambda _: Dropout(rate))


def replace_head(model: nn.Module, num_classes: int, rate: float) -> str:
    """Replace the last dense layer (without any, convolution) by one for `num_classes` classes; returns its name.

    Args:
        rate: of dropout before a dense head.
    """
    dense = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    if dense:
        name, last = dense[-1]
        sizes = last.in_features, num_classes
        model.set_submodule(name, (Head(*sizes, rate) if rate else nn.Linear(*sizes)))
        return name
    name, layer = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)][-1]
    model.set_submodule(name, resized(layer, layer.in_channels, num_classes))
    return name


def replace_inputs(model: nn.Module, channels: int) -> None:
    """Let the first convolution take images of so many channels; one channel counts as three equal ones."""
    name, old = next((name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d))
    if old.in_channels == channels:
        return
    new = resized(old, channels, old.out_channels)
    with torch.no_grad():
        if channels == 1:
            new.weight.copy_(old.weight.sum(1, keepdim=True))
        if new.bias is not None and old.bias is not None:
            new.bias.copy_(old.bias)
    model.set_submodule(name, new)


def resized(old: nn.Conv2d, inputs: int, outputs: int, groups: int = 1) -> nn.Conv2d:
    """A convolution like `old`, of other channels; its values are new."""
    return nn.Conv2d(
        inputs,
        outputs,
        old.kernel_size,  # type: ignore[arg-type]
        stride=old.stride,  # type: ignore[arg-type]
        padding=old.padding,  # type: ignore[arg-type]
        dilation=old.dilation,  # type: ignore[arg-type]
        groups=groups,
        bias=old.bias is not None,
    )


def narrow(model: nn.Module, channels: Callable[[int], int]) -> None:
    """Give every layer `channels(n)` channels or units where it has n; its values are new.

    For networks of convolutions, BatchNorms and dense layers that add and multiply channels, but never split or
    concatenate them. The input's channels stay.
    """
    outputs = 0
    for name, layer in list(model.named_modules()):
        if isinstance(layer, nn.Conv2d):
            inputs = channels(layer.in_channels) if outputs else layer.in_channels
            groups = channels(layer.groups) if layer.groups > 1 else 1
            outputs = layer.out_channels
            model.set_submodule(name, resized(layer, inputs, channels(outputs), groups))
        elif isinstance(layer, nn.BatchNorm2d):
            model.set_submodule(name, nn.BatchNorm2d(channels(layer.num_features), layer.eps, layer.momentum))
        elif isinstance(layer, nn.Linear):
            positions = layer.in_features // outputs  # of a flattened image
            outputs = layer.out_features
            inputs = channels(layer.in_features // positions) * positions
            model.set_submodule(name, nn.Linear(inputs, channels(outputs), bias=layer.bias is not None))
