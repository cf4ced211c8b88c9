"""resnet18: torchvision's, with the paper's norm, K=8."""

from __future__ import annotations

from dataclasses import dataclass, fields

from reinit_bench.core.settings import setting
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.layers import Architecture
from reinit_bench.models.torchvision import TorchvisionNet


@dataclass(frozen=True, kw_only=True)
class ResNet18(Architecture):
    """A stem (in block 1), eight residual blocks, global average pooling, dropout, the classifier head."""

    stem: str = setting("own", choices=("own", "small"))
    """own: 7x7, stride 2 and a pooling; small: 3x3, stride 1 and none, for images of 32 pixels."""
    norm: str = setting("group", choices=("group", "batch", "none"))
    """group: the paper's layer norm, GroupNorm with one group; batch: BatchNorm; none: biases take its place."""
    norm_epsilon: float | None = setting(None, above=0)
    """Added to each norm's variance; null: 1e-5, as in torchvision."""
    weights: str | None = None
    """Pretrained weights, e.g. DEFAULT (with `norm=batch`); the initializer then draws the head alone."""

    def build(self, input_shape: tuple[int, ...], num_classes: int, dropout_rate: float) -> BlockNet:
        chosen = {spec.name: getattr(self, spec.name) for spec in fields(self)}
        return TorchvisionNet(arch="resnet18", **chosen).build(input_shape, num_classes, dropout_rate)
