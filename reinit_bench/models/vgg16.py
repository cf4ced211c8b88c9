"""vgg16: configuration D of Simonyan and Zisserman (2015) with layer norm, K=13."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.layers import ImageArchitecture, dense_norm_relu, pooled_stages, sequence

# (filters, convolutions) of each stage; a 2x2 pooling ends every stage.
_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


@dataclass(frozen=True, kw_only=True)
class Vgg16(ImageArchitecture):
    """Thirteen 3x3 convolutions, each a block, two dense layers of 4096, the classifier head."""

    halvings: ClassVar[int] = len(_STAGES)

    def build(self, input_shape: tuple[int, ...], num_classes: int, dropout_rate: float) -> BlockNet:
        channels, height, width = self.image_shape(input_shape)
        stages = [(self.channels(filters), count) for filters, count in _STAGES]
        pixels = (height // 2**self.halvings) * (width // 2**self.halvings)
        features, units = stages[-1][0] * pixels, self.channels(4096)
        top = sequence(
            flatten=nn.Flatten(),
            hidden1=dense_norm_relu(features, units, self.norms, dropout_rate),
            hidden2=dense_norm_relu(units, units, self.norms, dropout_rate),
            head=nn.Linear(units, num_classes),
        )
        return BlockNet(pooled_stages(channels, stages, self.norms), top)
