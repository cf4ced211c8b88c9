"""What the parameters of any network are: kernels, norms, tokens; their Frobenius norms; the modules' modes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from reinit_bench.core.settings import ConfigError

NORMS = (nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.modules.batchnorm._NormBase)  # the last: batch and instance norms
"""The layers whose parameters are a scale (`weight`) and a shift (`bias`) of each channel."""

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
"""The layers whose parameters are a kernel (`weight`) and a bias."""

TOKENS: Mapping[str, tuple[float, float]] = {
    "class_token": (0.0, 0.0),
    "pos_embedding": (0.0, 0.02),
    "relative_position_bias_table": (0.0, 0.02),
    "layer_scale": (1e-6, 0.0),
    "logit_scale": (math.log(10.0), 0.0),
}
"""Tokens, tables of positions and scales of torchvision's transformers: mean and deviation, as it draws them."""

_LOOSE = re.compile("token|pos_emb|position|scale|gamma|temperature|^bias_|original0|base")


def is_loose(name: str) -> bool:
    """Whether a parameter, by the last part of its name, is added or multiplied whatever its shape.

    Tokens, tables of positions, scales; the magnitudes of a weight norm.
    """
    return _LOOSE.search(name.rpartition(".")[2]) is not None


def is_kernel(name: str, parameter: Tensor) -> bool:
    """Whether a parameter is a convolution's, dense layer's or attention's kernel.

    It has two dimensions or more, which biases and the norms' scales and shifts have not, and is not loose.
    """
    return parameter.dim() >= 2 and not is_loose(name)


def kind_of(module: nn.Module, name: str) -> str | None:
    """What this parameter of `module` is known to be: kernel, scale, shift or token; None: something of its own."""
    own: Any = type(module)
    base: Any = next((kind for kind in (*NORMS, *LAYERS) if isinstance(module, kind)), None)
    if base is not None and own.reset_parameters is base.reset_parameters:  # else it draws in its own way
        return {"weight": "scale" if base in NORMS else "kernel", "bias": "shift"}.get(name)
    if isinstance(module, nn.MultiheadAttention):
        return "kernel" if name.endswith("proj_weight") else "shift" if name == "in_proj_bias" else None
    of_torchvision = type(module).__module__.startswith("torchvision.")
    return "token" if of_torchvision and name in TOKENS else None


def owner_of(net: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The module that has the named parameter, and its name there."""
    path, _, own = name.rpartition(".")
    return net.get_submodule(path), own


def parametrizations(net: nn.Module, names: Iterable[str]) -> set[str]:
    """The parametrizations (weight_norm, spectral_norm, orthogonal ...) that have some of these parameters, by name."""
    owners = {name.rpartition(".")[0] for name in names}
    return {owner for owner in owners if isinstance(net.get_submodule(owner), ParametrizationList)}


def kernel_names(net: nn.Module, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Names of the kernels of `net`; if `names` is given, of those among them."""
    chosen = None if names is None else set(names)
    return tuple(
        name for name, value in net.named_parameters() if is_kernel(name, value) and (chosen is None or name in chosen)
    )


def depthwise_channels(net: nn.Module) -> dict[str, int]:
    """The names of the depthwise kernels, which convolve each channel on its own, with the numbers of channels."""
    return {
        f"{name}.weight": layer.groups
        for name, layer in net.named_modules()
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) and layer.groups == layer.in_channels > 1
    }


def norm_names(net: nn.Module) -> tuple[str, ...]:
    """Names of the norms' scales and shifts."""
    return tuple(
        f"{name}.{parameter}"
        for name, module in net.named_modules()
        if isinstance(module, NORMS)
        for parameter, _ in module.named_parameters(recurse=False)
    )


def norm_carrier(net: nn.Module, kernel: str) -> str | None:
    """The parameter whose norm is that of a kernel: itself, or a weight norm's magnitudes; None: the norm is fixed.

    Raises:
        ConfigError: the kernel is parametrized in another way.
    """
    owner, own = owner_of(net, kernel)
    if not isinstance(owner, ParametrizationList):
        return kernel
    kind = type(owner[0]).__name__
    if len(owner) > 1 or kind not in ("_WeightNorm", "_SpectralNorm", "_Orthogonal"):
        raise ConfigError(f"{kernel} is parametrized by {kind}, whose norm cannot be set; use weight_norm")
    return f"{kernel.removesuffix(own)}original0" if kind == "_WeightNorm" else None


def refuse_parametrized(net: nn.Module, names: Iterable[str], method: object) -> None:
    """For methods that look at or change single elements.

    Raises:
        ConfigError: one of these parameters belongs to a parametrized weight, which has other elements.
    """
    for path in sorted(parametrizations(net, names)):
        raise ConfigError(
            f"{type(method).__name__} changes elements of kernels, and {path.replace('.parametrizations', '')} is "
            "parametrized: take a method that redraws whole layers, or torch's remove_parametrizations"
        )


def frobenius(parameter: Tensor) -> float:
    """The Frobenius norm, summed in double precision."""
    return float(parameter.detach().double().norm())


@contextmanager
def modes_kept(net: nn.Module) -> Iterator[None]:
    """After this block every module is in training or evaluation mode as before, each in its own."""
    modes = [(module, module.training) for module in net.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
