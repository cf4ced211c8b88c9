"""Copies of a network's values, and comparisons to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def copy_state(net: nn.Module) -> dict[str, Tensor]:
    """A copy of the state dict."""
    return {name: value.detach().clone() for name, value in net.state_dict().items()}


def bit_equal(a: Any, b: Any) -> bool:
    """Whether two tensors, or nested dicts and lists of them, have the same bits; so 0 and -0 differ."""
    if isinstance(a, Tensor):
        same_kind = isinstance(b, Tensor) and (a.dtype, a.shape) == (b.dtype, b.shape)
        return same_kind and torch.equal(_bytes(a), _bytes(b))
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and a.keys() == b.keys() and all(bit_equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(bit_equal(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def changed_names(before: Mapping[str, Tensor], net: nn.Module) -> set[str]:
    """The names in the state dict whose bits are no longer those of `before`."""
    return {name for name, value in net.state_dict().items() if not bit_equal(value, before[name])}


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().flatten().view(torch.uint8)
