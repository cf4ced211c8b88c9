"""What the parameters of any network are: kernels, norms, tokens; their Frobenius norms; the modules' modes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

NORMS = (nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.modules.batchnorm._NormBase)  # the last: batch and instance norms
"""The layers whose parameters are a scale (`weight`) and a shift (`bias`) of each channel."""

NO_KERNELS: Mapping[str, tuple[float, float]] = {
    "class_token": (0.0, 0.0),
    "cls_token": (0.0, 0.02),
    "pos_embedding": (0.0, 0.02),
    "pos_embed": (0.0, 0.02),
    "relative_position_bias_table": (0.0, 0.02),
    "layer_scale": (1e-6, 0.0),
    "logit_scale": (math.log(10.0), 0.0),
}
"""What has the shape of a kernel and is added or multiplied: tokens, tables of positions and scales of transformers.

By the last part of the parameter's name: mean and deviation of fresh values, as torchvision and timm draw them.
"""


def is_kernel(name: str, parameter: Tensor) -> bool:
    """Whether a parameter is a convolution's, dense layer's or attention's kernel.

    It has two dimensions or more, which biases and the norms' scales and shifts have not, and is none of `NO_KERNELS`.
    """
    return parameter.dim() >= 2 and name.rpartition(".")[2] not in NO_KERNELS


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
