"""Networks on the meta device, where VGG16 at 224 pixels takes no memory and little time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.layers import Architecture


@pytest.fixture
def meta() -> Callable[..., BlockNet]:
    """Build an architecture without memory: `meta(architecture, input_shape, num_classes, dropout_rate)`."""

    def build(
        architecture: Architecture, input_shape: tuple[int, ...], num_classes: int = 1000, dropout_rate: float = 0.0
    ) -> BlockNet:
        with torch.device("meta"):
            return architecture.build(input_shape, num_classes, dropout_rate)

    return build


@pytest.fixture
def block_shapes() -> Callable[..., list[tuple[int, ...]]]:
    """The output shape of each block and of the whole network, for one example of the given shape."""

    def shapes(net: BlockNet, input_shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        seen: list[tuple[int, ...]] = []
        for module in [*net.blocks, net]:
            module.register_forward_hook(lambda _, __, output: seen.append(tuple(output.shape[1:])))
        net(torch.empty(1, *input_shape, device=next(net.parameters()).device))
        return seen

    return shapes
