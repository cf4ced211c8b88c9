"""What the architectures are made of: the paper's layers, and the base classes of all architectures.

An architecture is one file with one frozen dataclass of its hyperparameters and a method `build` that returns a
`BlockNet`; its yaml in `conf/model` names the class. Modules are named (`blocks.0.conv.weight`, `top.head.bias`), and
a parameter's name is part of the random stream that draws its initial values: renaming a layer redraws it.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from reinit_bench.core.settings import ConfigError, Settings, setting
from reinit_bench.kernels.convolution import convolution
from reinit_bench.kernels.norm import group_norm
from reinit_bench.models.blocknet import BlockNet, Dropout


class Conv(nn.Conv2d):
    """Like `nn.Conv2d`, but faster on the CPU; the same function up to rounding."""

    def forward(self, x: Tensor) -> Tensor:
        assert not isinstance(self.padding, str)
        return convolution(x, self.weight, self.bias, stride=self.stride, padding=self.padding, groups=self.groups)


class Norm(nn.GroupNorm):
    """The paper's layer norm: mean and variance of each example over (C, H, W) or (C,), scale and shift per channel.

    Args:
        channels: number of channels C.
        epsilon: added to the variance.
        relu: whether a ReLU follows.
    """

    def __init__(self, channels: int, epsilon: float, *, relu: bool = False) -> None:
        super().__init__(1, channels, eps=epsilon)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        return group_norm(x, self.weight, self.bias, self.eps, relu=self.relu)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, relu={self.relu}"


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """BatchNorm of images (n, C, H, W) or vectors (n, C), with torch's momentum of 0.1.

    A single vector has no variance: it is normalized with the running statistics, so that an epoch's last batch may be
    of one example.
    """

    def __init__(self, channels: int, epsilon: float, *, relu: bool = False) -> None:
        super().__init__(channels, eps=epsilon)
        self.relu = relu

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 (the name in torch)
        """Any number of positions."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.numel() > x.shape[1]:
            y = super().forward(x)
        else:
            y = functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return functional.relu(y) if self.relu else y


@dataclass(frozen=True)
class Norms:
    """Makes an architecture's norms.

    Attributes:
        kind: group (the paper's layer norm), batch or none.
        epsilon: added to the variance.
    """

    kind: str
    epsilon: float

    @property
    def leaves_bias(self) -> bool:
        """Whether the layers before need a bias, because no norm shifts what they give."""
        return self.kind == "none"

    def __call__(self, channels: int, *, relu: bool = False) -> nn.Module:
        """The norm of so many channels; `relu`: whether a ReLU follows, as part of it."""
        if self.kind == "none":
            return nn.ReLU() if relu else nn.Identity()
        return (BatchNorm if self.kind == "batch" else Norm)(channels, self.epsilon, relu=relu)


def sequence(**modules: nn.Module) -> nn.Sequential:
    """The modules in sequence, under the given names."""
    return nn.Sequential(OrderedDict(modules))


def conv(inputs: int, outputs: int, window: int, *, stride: int = 1, groups: int = 1, bias: bool = False) -> Conv:
    """A convolution with "same" padding: n pixels become ceil(n / stride)."""
    return Conv(inputs, outputs, window, stride=stride, padding=window // 2, groups=groups, bias=bias)


def conv_norm_relu(
    inputs: int, outputs: int, window: int, norms: Norms, *, stride: int = 1, bias: bool = False
) -> nn.Sequential:
    """The paper's convolutional block: convolution, norm, ReLU; a convolution without any norm has a bias."""
    bias = bias or norms.leaves_bias
    return sequence(conv=conv(inputs, outputs, window, stride=stride, bias=bias), norm=norms(outputs, relu=True))


def dense_norm_relu(inputs: int, outputs: int, norms: Norms, dropout_rate: float) -> nn.Sequential:
    """The paper's dense layer: dense with bias, norm, ReLU, dropout (Appendix B's listing)."""
    return sequence(
        dense=nn.Linear(inputs, outputs),
        norm=norms(outputs, relu=True),
        dropout=Dropout(dropout_rate),
    )


def pooled_stages(inputs: int, stages: Sequence[tuple[int, int]], norms: Norms) -> list[nn.Module]:
    """One block per 3x3 convolution (with bias, norm, ReLU), for stages of (filters, convolutions).

    The 2x2 max pooling that ends a stage belongs to the stage's last block.
    """
    blocks: list[nn.Module] = []
    for filters, count in stages:
        for position in range(1, count + 1):
            block = conv_norm_relu(inputs, filters, 3, norms, bias=True)
            if position == count:
                block.add_module("pool", nn.MaxPool2d(2))
            blocks.append(block)
            inputs = filters
    return blocks


class GlobalAveragePool(nn.Module):
    """(n, C, H, W) to (n, C): the mean over all pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


def pooled_head(features: int, num_classes: int, dropout_rate: float) -> nn.Sequential:
    """Global average pooling, dropout, the classifier head."""
    return sequence(pool=GlobalAveragePool(), dropout=Dropout(dropout_rate), head=nn.Linear(features, num_classes))


@dataclass(frozen=True, kw_only=True)
class Architecture(Settings):
    """Base of every architecture: one subclass per file, one yaml each."""

    section: ClassVar[str] = "model"
    halvings: ClassVar[int] = 0
    """Number of 2x2 poolings without padding: each side of an image needs at least 2 ** halvings pixels."""

    width: float = setting(1.0, above=0)
    """Multiplies every number of filters and hidden units; the paper uses 1."""

    def build(self, input_shape: tuple[int, ...], num_classes: int, dropout_rate: float) -> BlockNet:
        """The network, with PyTorch's own initial values (`initializers.initialize` replaces them).

        Args:
            input_shape: one example's shape: (channels, height, width) of an image, (features,) of a vector.
            num_classes: outputs of the classifier head (logits, no softmax).
            dropout_rate: the share of activations that training drops, in [0, 1).

        Raises:
            ConfigError: the architecture does not accept inputs of this shape.
        """
        raise TypeError(f"{type(self).__name__} does not define build")

    def channels(self, n: int) -> int:
        """`n`, a number of filters or units of the published network, times the width: rounded half up, at least 1."""
        return max(1, math.floor(n * self.width + 0.5))

    def image_shape(self, input_shape: tuple[int, ...]) -> tuple[int, int, int]:
        """`input_shape` as (channels, height, width).

        Raises:
            ConfigError: it is not the shape of an image, or the image is too small.
        """
        if len(input_shape) != 3:
            shape = "x".join(map(str, input_shape))
            raise ConfigError(
                f"{self.label()} needs images, but the dataset gives inputs of shape {shape}; try model=mlp"
            )
        channels, height, width = input_shape
        least = 2**self.halvings
        if min(height, width) < least:
            reason = f" ({self.halvings} 2x2 poolings)" if self.halvings else ""
            raise ConfigError(f"{self.label()} needs image_size of at least {least}{reason}; got {min(height, width)}")
        return channels, height, width

    def label(self) -> str:
        """The architecture's name in messages."""
        return type(self).__name__.lower()


@dataclass(frozen=True, kw_only=True)
class ImageArchitecture(Architecture):
    """Base of the convolutional architectures."""

    norm: str = setting("group", choices=("group", "batch", "none"))
    """group: the paper's layer norm, GroupNorm with one group; batch: BatchNorm; none: biases take its place."""
    norm_epsilon: float = setting(1e-3, above=0)
    """Added to each norm's variance; 1e-3 is the default of the authors' framework, 1e-5 of PyTorch."""

    @property
    def norms(self) -> Norms:
        """What makes the norms."""
        return Norms(self.norm, self.norm_epsilon)
