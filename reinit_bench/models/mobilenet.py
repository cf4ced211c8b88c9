"""mobilenet: the shallow MobileNetV1 of Howard et al. (2017, Table 5) with layer norm, K=7."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from reinit_bench.core.settings import setting
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.layers import Norms, StridedArchitecture, conv, conv_norm_relu, pooled_head, sequence

_STEM = 32
# (filters, stride) of the separable layers: the full network's, without its five of 512 filters at 14x14.
_LAYERS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (1024, 2), (1024, 1))


def separable(inputs: int, outputs: int, stride: int, norms: Norms, padding: str = "symmetric") -> nn.Sequential:
    """A depthwise 3x3 convolution and a pointwise 1x1 one, each with norm and ReLU (Howard et al., Figure 3)."""
    bias = norms.bias_before(usual=False)
    return sequence(
        depthwise=conv(inputs, inputs, 3, stride=stride, groups=inputs, bias=bias, padding=padding),
        norm1=norms(inputs, relu=True),
        pointwise=conv(inputs, outputs, 1, bias=bias),
        norm2=norms(outputs, relu=True),
    )


@dataclass(frozen=True, kw_only=True)
class MobileNet(StridedArchitecture):
    """A 3x3 stem of stride 2 and eight separable layers, global average pooling, the classifier head.

    The paper's seven blocks are made of these nine layers; of which, it does not say.
    """

    grouping: str = setting("joined", choices=("joined", "single"))
    """joined: the stem and the first separable layer are block 1, the last two layers block 7; single: each of the
    first seven layers is a block, and the last two belong to the top."""

    def build(self, input_shape: tuple[int, ...], num_classes: int, dropout_rate: float) -> BlockNet:
        channels, _, _ = self.image_shape(input_shape)
        stem = conv_norm_relu(channels, self.channels(_STEM), 3, self.norms, stride=2, padding=self.padding)
        inputs, layers = self.channels(_STEM), []
        for filters, stride in _LAYERS:
            layers.append(separable(inputs, self.channels(filters), stride, self.norms, self.padding))
            inputs = self.channels(filters)
        head = pooled_head(inputs, num_classes, dropout_rate)
        if self.grouping == "single":
            return BlockNet(
                [stem, *layers[:-2]],
                sequence(separable1=layers[-2], separable2=layers[-1], **dict(head.named_children())),
            )
        blocks = [
            sequence(stem=stem, separable=layers[0]),
            *layers[1:-2],
            sequence(separable1=layers[-2], separable2=layers[-1]),
        ]
        return BlockNet(blocks, head)
