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


def _branch(inputs: int, inner: int, outputs: int, stride: int, norms: Norms) -> nn.Sequential:
    """1x1 (with the stride), 3x3 and 1x1 convolutions with norm and ReLU between them; nothing after the last."""
    bias = norms.bias_before(usual=False)
    return sequence(
        conv1=conv(inputs, inner, 1, stride=stride, bias=bias),
        norm1=norms(inner, relu=True),
        conv2=conv(inner, inner, 3, bias=bias),
        norm2=norms(inner, relu=True),
        conv3=conv(inner, outputs, 1, bias=bias),
    )


class Bottleneck(nn.Module):
    """Version 1: relu(shortcut(x) + branch(x)), with a norm at the end of the branch and of a projection.

    `projection`: the 1x1 convolution of a shortcut ("convolutional block"); None: the identity ("identity block").
    """

    def __init__(self, branch: nn.Sequential, projection: nn.Module | None, norms: Norms, outputs: int) -> None:
        super().__init__()
        self.branch = branch
        self.branch.add_module("norm3", norms(outputs))
        self.shortcut = nn.Identity() if projection is None else sequence(conv=projection, norm=norms(outputs))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.shortcut(x) + self.branch(x))


class PreactivationBottleneck(nn.Module):
    """Version 2: x + branch(activation(x)); a projection replaces x and sees what the branch sees."""

    def __init__(self, branch: nn.Module, projection: nn.Module | None, activation: nn.Module) -> None:
        super().__init__()
        self.activation, self.branch, self.projection = activation, branch, projection

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
        inputs = self.channels(_STEM)
        blocks: list[nn.Module] = []
        for filters, count, stride in _STAGES:
            inner, outputs = self.channels(filters), self.channels(_EXPANSION * filters)
            for index in range(count):
                sizes = inputs, inner, outputs, stride if index == 0 else 1
                blocks.append(self._unit(*sizes, projects=index == 0, first=not blocks))
                inputs = outputs
        blocks[0] = sequence(stem=stem, residual=blocks[0])
        if self.version == 2:
            # Each block activates its input; the last block's sum would otherwise never be activated.
            blocks[-1] = sequence(residual=blocks[-1], norm=self.norms(inputs, relu=True))
        return BlockNet(blocks, pooled_head(inputs, num_classes, dropout_rate))

    def _unit(self, inputs: int, inner: int, outputs: int, stride: int, *, projects: bool, first: bool) -> nn.Module:
        """A residual block. The input of the `first` one has already passed a norm and ReLU, the stem's."""
        norms, projection = self.norms, None
        branch = _branch(inputs, inner, outputs, stride, norms)
        if projects:
            projection = conv(inputs, outputs, 1, stride=stride, bias=norms.bias_before(usual=False))
        if self.version == 1:
            return Bottleneck(branch, projection, norms, outputs)
        activation = nn.Identity() if first else sequence(norm=norms(inputs, relu=True))
        return PreactivationBottleneck(branch, projection, activation)
