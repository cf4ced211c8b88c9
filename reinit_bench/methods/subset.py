"""Masks of a fixed fraction of the parameters: random (WELS, WELSR), or of the smallest values (DSD, SNIP)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Mask, Redraw
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.parameters import kernel_names

Choose = Callable[[Tensor, str], Tensor]
"""Takes a group's values (n,) and its name; returns the positions of all, those that are chosen first."""


@dataclass(frozen=True, kw_only=True)
class SubsetMethod(Redraw):
    """Methods that redraw a fixed fraction of the parameters before every round but the first."""

    fraction: float = setting(0.2, above=0, most=1)
    """Fraction of the parameters that is redrawn."""
    scope: str = setting("kernels", choices=("kernels", "all"))
    """What a mask may touch: convolution and dense kernels, or all parameters (biases and norm scales too)."""

    def names(self, net: BlockNet) -> tuple[str, ...]:
        """The parameters that a mask may touch."""
        return kernel_names(net) if self.scope == "kernels" else tuple(name for name, _ in net.named_parameters())


def share(fraction: float, size: int) -> int:
    """floor(fraction * size), exact in decimal: 0.29 of 100 is 29."""
    return math.floor(Fraction(repr(fraction)) * size)


def mask_by_group(values: Mapping[str, Tensor], fraction: float, selection: str, choose: Choose) -> Mask:
    """Choose exactly floor(fraction * n) elements of every group.

    Args:
        values: what the choice looks at: by parameter, of its shape.
        selection: `tensor` makes a group of each parameter, `network` one group of all.
        choose: gives the positions of a group's elements, given its values.
    """
    groups = [(name, (name,)) for name in values] if selection == "tensor" else [("network", tuple(values))]
    mask: dict[str, Tensor] = {}
    for label, members in groups:
        together = torch.cat([values[name].detach().reshape(-1) for name in members])
        chosen = torch.zeros_like(together, dtype=torch.bool)
        chosen[choose(together, label)[: share(fraction, together.numel())].to(chosen.device)] = True
        for name, part in zip(members, chosen.split([values[name].numel() for name in members]), strict=True):
            mask[name] = part.reshape(values[name].shape)
    return mask


def random_mask(
    net: BlockNet,
    names: tuple[str, ...],
    fraction: float,
    selection: str,
    stream: Callable[[str], torch.Generator],
) -> Mask:
    """A mask chosen uniformly at random; `stream(group)` gives each group's CPU generator.

    `selection` is `tensor` or `network` (see `mask_by_group`) or `bernoulli`, where each element is chosen
    independently with probability `fraction`.
    """
    values = {name: value for name, value in net.named_parameters() if name in names}
    if selection == "bernoulli":
        return {
            name: (torch.rand(value.shape, generator=stream(name)) < fraction).to(value.device)
            for name, value in values.items()
        }
    return mask_by_group(
        values, fraction, selection, lambda group, label: torch.randperm(len(group), generator=stream(label))
    )


def smallest_mask(values: Mapping[str, Tensor], fraction: float, selection: str) -> Mask:
    """A mask of the smallest absolute values; ties go to the earlier position."""
    return mask_by_group(values, fraction, selection, lambda group, _: group.abs().sort(stable=True).indices)
