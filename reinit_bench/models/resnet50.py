"""resnet50: 16 bottleneck blocks, version 1 (He et al. 2016a) or 2 (He et al. 2016b), with layer norm, K=16."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from reinit_bench.core.settings import setting
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.layers import (
    Norms,
    SamePool,
    StridedArchitecture,
    conv,
    conv_norm_relu,
    pooled_head,
    sequence,
)

_STEM = 64
# (filters of the inner convolutions, blocks, stride of the first block) of each stage; a block ends with 4 x filters.
_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
_EXPANSION = 4


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The sizes of one bottleneck block."""

    inputs: int
    inner: int
    outputs: int
    stride: int
    """Of the first 1x1 convolution, and of the projection."""
    projects: bool
    """Whether the shortcut is a 1x1 convolution ("convolutional block") instead of the identity ("identity block")."""


def _branch(shape: Shape, norms: Norms) -> nn.Sequential:
    """1x1, 3x3 and 1x1 convolutions with norm and ReLU between them; nothing after the last."""
    bias = norms.bias_before(usual=False)
    return sequence(
        conv1=conv(shape.inputs, shape.inner, 1, stride=shape.stride, bias=bias),
        norm1=norms(shape.inner, relu=True),
        conv2=conv(shape.inner, shape.inner, 3, bias=bias),
        norm2=norms(shape.inner, relu=True),
        conv3=conv(shape.inner, shape.outputs, 1, bias=bias),
    )


def _projection(shape: Shape, norms: Norms) -> nn.Module:
    """The 1x1 convolution of a shortcut."""
    return conv(shape.inputs, shape.outputs, 1, stride=shape.stride, bias=norms.bias_before(usual=False))


class Bottleneck(nn.Module):
    """Version 1: relu(shortcut(x) + branch(x)), with a norm at the end of the branch and of a projection."""

    def __init__(self, shape: Shape, norms: Norms) -> None:
        super().__init__()
        self.branch = _branch(shape, norms)
        self.branch.add_module("norm3", norms(shape.outputs))
        self.shortcut: nn.Module = nn.Identity()
        if shape.projects:
            self.shortcut = sequence(
                conv=_projection(shape, norms),
                norm=norms(shape.outputs),
            )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.shortcut(x) + self.branch(x))


class PreactivationBottleneck(nn.Module):
    """Version 2: x + branch(relu(norm(x))); a projection replaces x and sees what the branch sees.

    `preactivated`: the input has already passed a norm and ReLU (the stem's), so the block has none.
    """

    def __init__(self, shape: Shape, norms: Norms, *, preactivated: bool) -> None:
        super().__init__()
        self.activation: nn.Module = nn.Identity()
        if not preactivated:
            self.activation = sequence(norm=norms(shape.inputs, relu=True))
        self.branch = _branch(shape, norms)
        self.projection: nn.Module | None = None
        if shape.projects:
            self.projection = _projection(shape, norms)

    def forward(self, x: Tensor) -> Tensor:
        active = self.activation(x)
        shortcut = x if self.projection is None else self.projection(active)
        return shortcut + self.branch(active)


@dataclass(frozen=True, kw_only=True)
class ResNet50(StridedArchitecture):
    """A 7x7 stem with a 3x3 pooling (in block 1), 16 residual blocks, global average pooling, the classifier head."""

    version: int = setting(1, least=1, most=2)
    """1: norm and ReLU after the convolutions (the paper's Appendix B); 2: before them (cited in its Section 3)."""

    def build(self, input_shape: tuple[int, ...], num_classes: int, dropout_rate: float) -> BlockNet:
        channels, _, _ = self.image_shape(input_shape)
        stem = conv_norm_relu(channels, self.channels(_STEM), 7, self.norms, stride=2, padding=self.padding)
        stem.add_module("pool", SamePool(3, 2) if self.padding == "same" else nn.MaxPool2d(3, stride=2, padding=1))
        shapes = self._shapes()
        blocks = self._units(shapes)
        blocks[0] = sequence(stem=stem, residual=blocks[0])
        features = shapes[-1].outputs
        if self.version == 2:
            # Each block activates its input; the last block's sum would otherwise never be activated.
            blocks[-1] = sequence(residual=blocks[-1], norm=self.norms(features, relu=True))
        return BlockNet(blocks, pooled_head(features, num_classes, dropout_rate))

    def _shapes(self) -> list[Shape]:
        """The sizes of the 16 blocks, bottom first."""
        shapes: list[Shape] = []
        inputs = self.channels(_STEM)
        for filters, count, stride in _STAGES:
            inner, outputs = self.channels(filters), self.channels(_EXPANSION * filters)
            shapes.append(Shape(inputs=inputs, inner=inner, outputs=outputs, stride=stride, projects=True))
            shapes += [Shape(inputs=outputs, inner=inner, outputs=outputs, stride=1, projects=False)] * (count - 1)
            inputs = outputs
        return shapes

    def _units(self, shapes: list[Shape]) -> list[nn.Module]:
        """The residual blocks, without the stem."""
        if self.version == 1:
            return [Bottleneck(shape, self.norms) for shape in shapes]
        return [
            PreactivationBottleneck(shape, self.norms, preactivated=index == 0) for index, shape in enumerate(shapes)
        ]
