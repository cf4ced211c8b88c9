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


class SameConv(Conv):
    """A convolution with TensorFlow's "same" padding, whatever its `padding`: an odd zero is at the bottom and right.

    It differs from symmetric padding where a stride meets a size that it divides: 3x3 windows of stride 2 have no zeros
    at the top and left there, and one row and column at the bottom and right.
    """

    def forward(self, x: Tensor) -> Tensor:
        first, last = same_padding(x, self.kernel_size[0], self.stride[0])
        return convolution(
            x, self.weight, self.bias, stride=self.stride, padding=first, padding_after=last, groups=self.groups
        )


class SamePool(nn.MaxPool2d):
    """Max pooling with TensorFlow's "same" padding, see `SameConv`; what is added never is the maximum."""

    def __init__(self, window: int, stride: int) -> None:
        super().__init__(window, stride)
        self.sizes = window, stride

    def forward(self, x: Tensor) -> Tensor:
        (top, left), (bottom, right) = same_padding(x, *self.sizes)
        padded = functional.pad(x, (left, right, top, bottom), value=-math.inf)
        return functional.max_pool2d(padded, self.kernel_size, self.stride)


def same_padding(x: Tensor, window: int, stride: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """TensorFlow's "same" padding of images (n, C, H, W): how many rows and columns are added first, and last.

    n pixels become ceil(n / stride) with as few added pixels as that takes, the odd one last.
    """
    height, width = (max((-(-size // stride) - 1) * stride + window - size, 0) for size in x.shape[2:])
    return (height // 2, width // 2), (height - height // 2, width - width // 2)


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
    """Makes an architecture's norms, and knows whether the convolutions before them have biases.

    Attributes:
        kind: group (the paper's layer norm), batch or none.
        epsilon: added to the variance.
        conv_bias: whether convolutions have a bias; None: as usual in the architecture.
    """

    kind: str
    epsilon: float
    conv_bias: bool | None = None

    def bias_before(self, *, usual: bool) -> bool:
        """Whether a convolution has a bias: as chosen or usual, and always where no norm shifts what it gives."""
        return self.kind == "none" or (usual if self.conv_bias is None else self.conv_bias)

    def __call__(self, channels: int, *, relu: bool = False) -> nn.Module:
        """The norm of so many channels; `relu`: whether a ReLU follows, as part of it."""
        if self.kind == "none":
            return nn.ReLU() if relu else nn.Identity()
        return (BatchNorm if self.kind == "batch" else Norm)(channels, self.epsilon, relu=relu)


def sequence(**modules: nn.Module) -> nn.Sequential:
    """The modules in sequence, under the given names."""
    return nn.Sequential(OrderedDict(modules))


def conv(
    inputs: int,
    outputs: int,
    window: int,
    *,
    stride: int = 1,
    groups: int = 1,
    bias: bool = False,
    padding: str = "symmetric",
) -> Conv:
    """A convolution of which n pixels become ceil(n / stride).

    Args:
        padding: symmetric: window // 2 zeros on all sides; same: TensorFlow's (see `SameConv`).
    """
    if padding == "same" and stride > 1:  # without a stride both are the same
        return SameConv(inputs, outputs, window, stride=stride, groups=groups, bias=bias)
    return Conv(inputs, outputs, window, stride=stride, padding=window // 2, groups=groups, bias=bias)


def conv_norm_relu(
    inputs: int,
    outputs: int,
    window: int,
    norms: Norms,
    *,
    stride: int = 1,
    bias: bool = False,
    padding: str = "symmetric",
) -> nn.Sequential:
    """The paper's convolutional block: convolution, norm, ReLU.

    Args:
        bias: whether the convolution usually has one; see `Norms.bias_before`.
        padding: see `conv`.
    """
    bias = norms.bias_before(usual=bias)
    return sequence(
        conv=conv(inputs, outputs, window, stride=stride, bias=bias, padding=padding), norm=norms(outputs, relu=True)
    )


def dense_norm_relu(inputs: int, outputs: int, norms: Norms, dropout_rate: float) -> nn.Sequential:
    """The paper's dense layer: dense with bias, norm, ReLU, dropout (Appendix B's listing)."""
    return sequence(
        dense=nn.Linear(inputs, outputs),
        norm=norms(outputs, relu=True),
        dropout=Dropout(dropout_rate),
    )


def pooled_stages(inputs: int, stages: Sequence[tuple[int, int]], norms: Norms) -> list[nn.Module]:
    """One block per 3x3 convolution (usually with bias; norm, ReLU), for stages of (filters, convolutions).

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
    conv_bias: bool | None = None
    """Whether convolutions have biases; null: as usual (yes in scnn and vgg16, no in mobilenet and resnet50)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.norm == "none" and self.conv_bias is False:
            raise ConfigError("model.conv_bias=false does not go with model.norm=none: biases take the norms' place")

    @property
    def norms(self) -> Norms:
        """What makes the norms."""
        return Norms(self.norm, self.norm_epsilon, self.conv_bias)


@dataclass(frozen=True, kw_only=True)
class StridedArchitecture(ImageArchitecture):
    """Base of the architectures that halve images by strides of overlapping windows."""

    padding: str = setting("symmetric", choices=("symmetric", "same"))
    """Zeros around strided windows; same: TensorFlow's, at even sizes one more at the bottom and right."""
