from __future__ import annotations

import pytest
import torch
from torch import nn

from reinit_bench.core.settings import ConfigError
from reinit_bench.models.mlp import Mlp


def test_every_layer_is_a_block_and_nothing_is_above(meta, block_shapes) -> None:
    net = meta(Mlp(), (128,), 4)
    assert net.num_blocks == 3
    assert block_shapes(net, (128,)) == [(32,), (32,), (4,), (4,)]
    assert isinstance(net.top, nn.Identity)
    assert net.names_in_head() == ("blocks.2.head.weight", "blocks.2.head.bias")
    assert {name: tuple(value.shape) for name, value in net.named_parameters()} == {
        "blocks.0.dense.weight": (32, 128),
        "blocks.0.dense.bias": (32,),
        "blocks.1.dense.weight": (32, 32),
        "blocks.1.dense.bias": (32,),
        "blocks.2.head.weight": (4, 32),
        "blocks.2.head.bias": (4,),
    }


@torch.no_grad()
def test_forward_by_hand() -> None:
    net = Mlp(hidden=[2]).build((2,), 1, 0.0)
    for name, values in {
        "blocks.0.dense.weight": [[1.0, 2.0], [3.0, -4.0]],
        "blocks.0.dense.bias": [0.5, 1.0],
        "blocks.1.head.weight": [[-2.0, 5.0]],
        "blocks.1.head.bias": [0.25],
    }.items():
        net.get_parameter(name).copy_(torch.tensor(values))
    # Hidden units: 1 + 2 + 0.5 = 3.5 and relu(3 - 4 + 1) = 0; 2 - 2 + 0.5 = 0.5 and 6 + 4 + 1 = 11.
    assert net(torch.tensor([[1.0, 1.0], [2.0, -1.0]])).tolist() == [[-6.75], [54.25]]


def test_hidden_comes_from_yaml_as_a_list_and_is_kept_as_a_tuple() -> None:
    assert Mlp(hidden=[8, 4.0]).hidden == (8, 4)
    assert Mlp(hidden=[8, 4]) == Mlp(hidden=(8, 4))


def test_images_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        Mlp().build((1, 8, 8), 10, 0.0)
    assert str(caught.value) == "mlp needs feature vectors, but the dataset gives inputs of shape 1x8x8; try model=scnn"
