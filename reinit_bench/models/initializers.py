"""Initial values of every parameter: He normal and Xavier (Glorot) uniform kernels, zero biases, unit norm scales."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from reinit_bench.core.randomness import stream
from reinit_bench.core.settings import Settings, setting
from reinit_bench.models.constructed import constructed_values
from reinit_bench.models.parameters import TOKENS, depthwise_channels, kind_of, owner_of

# The standard deviation of a standard normal truncated at two standard deviations; truncation removes 4 * density /
# mass of its variance.
_DENSITY_AT_2 = math.exp(-2.0) / math.sqrt(2.0 * math.pi)
_MASS_WITHIN_2 = math.erf(2.0 / math.sqrt(2.0))
_TRUNCATED_STD = math.sqrt(1.0 - 4.0 * _DENSITY_AT_2 / _MASS_WITHIN_2)


def fans(kernel: Tensor) -> tuple[int, int]:
    """Fan-in and fan-out of a kernel of shape (out, in / groups, *window)."""
    window = math.prod(kernel.shape[2:])
    return kernel.shape[1] * window, kernel.shape[0] * window


class Initializer(Settings):
    """How a kernel's values are drawn."""

    section: ClassVar[str] = "initializer"

    def draw(self, kernel: Tensor, generator: torch.Generator) -> Tensor:
        """Fresh CPU values, fp32, of the kernel's shape."""
        raise TypeError(f"{type(self).__name__} does not define draw")

    def values(self, net: nn.Module, names: Iterable[str], seed: int, *purpose: str | int) -> dict[str, Tensor]:
        """See `initial_values`."""
        parameters = {**dict(net.named_parameters()), **dict(net.named_buffers())}

        def known(module: nn.Module, own: str, old: Tensor, name: str) -> Tensor | None:
            return self._known(module, own, old, stream(seed, *purpose, name))

        wanted = list(names)
        values = {name: known(*owner_of(net, name), parameters[name], name) for name in wanted}
        unknown = [name for name in wanted if values[name] is None]
        if unknown:
            values |= constructed_values(net, unknown, known, seed, *purpose)
        return {
            name: value.to(device=parameters[name].device, dtype=parameters[name].dtype)
            for name, value in values.items()
            if value is not None
        }

    def _known(self, module: nn.Module, name: str, old: Tensor, generator: torch.Generator) -> Tensor | None:
        """Fresh values of a module's parameter; None: how they come about is the module's own."""
        match kind_of(module, name):
            case "kernel" if isinstance(module, nn.modules.conv._ConvTransposeNd):
                # Its first axis is the inputs, those of all groups, its second the outputs of a group.
                groups = old.unflatten(0, (module.groups, -1)).transpose(1, 2)
                drawn = self.draw(groups.flatten(0, 1), generator)
                return drawn.unflatten(0, (module.groups, -1)).transpose(1, 2).flatten(0, 1)
            case "kernel":
                return self.draw(old, generator)
            case "token":
                mean, deviation = TOKENS[name]
                return torch.empty(old.shape).normal_(mean, deviation, generator=generator)
            case "scale":
                return torch.ones(old.shape)
            case "shift":
                return torch.zeros(old.shape)
            case _:
                return None


@dataclass(frozen=True, kw_only=True)
class HeNormal(Initializer):
    """Variance 2 / fan_in (He et al. 2015).

    With `truncated`, the `he_normal` of the authors' framework: a normal truncated at two standard deviations and
    widened so that the variance stays 2 / fan_in. Without it, the plain normal.
    """

    truncated: bool = setting(True)
    depthwise_fan_in: str = setting("window", choices=("window", "channels"))
    """A depthwise kernel's fan-in: the window's size, or as the authors' framework counts it, times the channels."""

    def values(self, net: nn.Module, names: Iterable[str], seed: int, *purpose: str | int) -> dict[str, Tensor]:
        values = super().values(net, names, seed, *purpose)
        if self.depthwise_fan_in == "channels":
            for name, channels in depthwise_channels(net).items():
                if name in values:
                    values[name] /= math.sqrt(channels)
        return values

    def draw(self, kernel: Tensor, generator: torch.Generator) -> Tensor:
        fan_in, _ = fans(kernel)
        values = torch.empty(kernel.shape)
        std = math.sqrt(2.0 / fan_in)
        if not self.truncated:
            return values.normal_(0.0, std, generator=generator)
        std /= _TRUNCATED_STD
        # The inverse distribution function instead of torch's trunc_normal_, which redraws what falls outside (14 times
        # as slow for vgg16's dense kernels), and whose values may change with torch's version.
        values.uniform_(-_MASS_WITHIN_2, _MASS_WITHIN_2, generator=generator).erfinv_()
        return values.mul_(math.sqrt(2.0) * std).clamp_(-2.0 * std, 2.0 * std)


@dataclass(frozen=True, kw_only=True)
class XavierUniform(Initializer):
    """Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""

    def draw(self, kernel: Tensor, generator: torch.Generator) -> Tensor:
        bound = math.sqrt(6.0 / sum(fans(kernel)))
        return torch.empty(kernel.shape).uniform_(-bound, bound, generator=generator)


def initial_values(
    net: nn.Module, initializer: Initializer, names: Iterable[str], seed: int, *purpose: str | int
) -> dict[str, Tensor]:
    """Fresh values for the named parameters of `net`, on the parameters' devices (the eta of equation (1)).

    Each parameter has its own stream (`seed`, `purpose`, its name): what is drawn for one never depends on which others
    are drawn. Kernels come from the initializer, biases are 0, norm scales 1; what is of a module's own is as its
    constructor makes it (see `constructed`). With a parametrized weight come the buffers of its parametrization.

    Raises:
        ConfigError: how some parameter came about is not known.
    """
    return initializer.values(net, names, seed, *purpose)


@torch.no_grad()
def initialize(
    net: nn.Module, initializer: Initializer, seed: int, *purpose: str | int, kept: Collection[str] = ()
) -> None:
    """Set every parameter of `net` to fresh initial values, but for those in `kept`."""
    names = [name for name, _ in net.named_parameters() if name not in kept]
    for name, value in initial_values(net, initializer, names, seed, *purpose).items():
        getattr(*owner_of(net, name)).copy_(value)
