"""scnn: the paper's simple CNN (Appendix B), K=4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.layers import ImageArchitecture, dense_norm_relu, pooled_stages, sequence


@dataclass(frozen=True, kw_only=True)
class Scnn(ImageArchitecture):
    """Four convolutions (32, 32, pool, 64, 64, pool), one dense layer of 512, the classifier head.

    The listing gives filters and units only; 3x3 windows, stride 1, "same" padding and 2x2 pools are our reading.
    """

    halvings: ClassVar[int] = 2

    def build(self, input_shape: tuple[int, ...], num_classes: int, dropout_rate: float) -> BlockNet:
        channels, height, width = self.image_shape(input_shape)
        narrow, wide, units = self.channels(32), self.channels(64), self.channels(512)
        blocks = pooled_stages(channels, ((narrow, 2), (wide, 2)), self.norms)
        top = sequence(
            flatten=nn.Flatten(),
            hidden=dense_norm_relu(wide * (height // 4) * (width // 4), units, self.norms, dropout_rate),
            head=nn.Linear(units, num_classes),
        )
        return BlockNet(blocks, top)
