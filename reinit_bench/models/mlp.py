"""mlp: the multilayer perceptron of Section 1.1, in which every layer is a block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from reinit_bench.core.settings import ConfigError, checked
from reinit_bench.models.blocknet import BlockNet, Dropout
from reinit_bench.models.layers import Architecture, sequence


@dataclass(frozen=True, kw_only=True)
class Mlp(Architecture):
    """Dense layers with ReLU and no norm, then the classifier head, which is block K: nothing is left for the top."""

    hidden: Sequence[int] = (32, 32)
    """Units of each hidden layer; K is one more than their number."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.hidden, (list, tuple)) or not self.hidden:
            raise ConfigError(
                f"model.hidden must be a list of at least one layer size, e.g. [32,32]; got {self.hidden!r}"
            )
        sizes = tuple(checked("each size in model.hidden", size, int, {"limits": {"least": 1}}) for size in self.hidden)
        object.__setattr__(self, "hidden", sizes)

    def build(self, input_shape: tuple[int, ...], num_classes: int, dropout_rate: float) -> BlockNet:
        if len(input_shape) != 1:
            shape = "x".join(map(str, input_shape))
            raise ConfigError(
                f"mlp needs feature vectors, but the dataset gives inputs of shape {shape}; try model=scnn"
            )
        blocks: list[nn.Module] = []
        inputs = input_shape[0]
        for size in self.hidden:
            units = self.channels(size)
            blocks.append(sequence(dense=nn.Linear(inputs, units), relu=nn.ReLU(), dropout=Dropout(dropout_rate)))
            inputs = units
        blocks.append(sequence(head=nn.Linear(inputs, num_classes)))
        return BlockNet(blocks, nn.Identity())
