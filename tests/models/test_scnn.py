from __future__ import annotations

import pytest
from torch import nn

from reinit_bench.core.settings import ConfigError
from reinit_bench.models.scnn import Scnn

PARAMETERS = {
    f"blocks.{k}.{layer}.{what}" for k in range(4) for layer in ("conv", "norm") for what in ("weight", "bias")
}
PARAMETERS |= {
    f"top.{layer}.{what}" for layer in ("hidden.dense", "hidden.norm", "head") for what in ("weight", "bias")
}


def test_parameters_are_those_of_the_listing(meta, size_of) -> None:
    net = meta(Scnn(), (3, 224, 224))
    convs = (9 * 3 + 1) * 32 + (9 * 32 + 1) * 32 + (9 * 32 + 1) * 64 + (9 * 64 + 1) * 64
    dense = (64 * 56 * 56 + 1) * 512 + (512 + 1) * 1000
    assert size_of(net, nn.Conv2d) == convs
    assert size_of(net, nn.Linear) == dense
    assert size_of(net, nn.GroupNorm) == 2 * (32 + 32 + 64 + 64 + 512)
    assert {name for name, _ in net.named_parameters()} == PARAMETERS


@pytest.mark.parametrize(("pixels", "half", "quarter"), [(224, 112, 56), (28, 14, 7), (9, 4, 2), (4, 2, 1)])
def test_block_outputs(meta, block_shapes, pixels: int, half: int, quarter: int) -> None:
    shape = (3, pixels, pixels)
    expected = [(32, pixels, pixels), (32, half, half), (64, half, half), (64, quarter, quarter), (7,)]
    assert block_shapes(meta(Scnn(), shape, 7), shape) == expected


def test_images_need_not_be_square_nor_coloured(meta, block_shapes) -> None:
    assert block_shapes(meta(Scnn(), (1, 8, 12), 7), (1, 8, 12))[-2:] == [(64, 2, 3), (7,)]


def test_width(meta, block_shapes) -> None:
    net = meta(Scnn(width=0.3), (3, 8, 8), 7)
    assert [shape[0] for shape in block_shapes(net, (3, 8, 8))] == [10, 10, 19, 19, 7]
    assert net.top.hidden.dense.weight.shape == (154, 19 * 2 * 2)


def test_dropout_follows_the_dense_activation(meta, top_order) -> None:
    net = meta(Scnn(), (3, 8, 8), 10, 0.25)
    assert top_order(net, (3, 8, 8)) == ["Flatten", "Linear", "Norm", "Dropout", "Linear"]


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        Scnn().build((3, 3, 8), 10, 0.0)
    assert str(caught.value) == "scnn needs image_size of at least 4 (2 2x2 poolings); got 3"


def test_vectors_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        Scnn().build((64,), 10, 0.0)
    assert str(caught.value) == "scnn needs images, but the dataset gives inputs of shape 64; try model=mlp"


def test_norm_epsilon_must_be_above_zero() -> None:
    with pytest.raises(ConfigError, match=r"^model\.norm_epsilon must be a number above 0; got 0$"):
        Scnn(norm_epsilon=0)


def test_conv_bias_false_leaves_biases_to_the_dense_layers(meta) -> None:
    net = meta(Scnn(conv_bias=False), (3, 32, 32))
    usual = {name for name, _ in meta(Scnn(), (3, 32, 32)).named_parameters()}
    gone = usual - {name for name, _ in net.named_parameters()}
    assert gone == {f"blocks.{k}.conv.bias" for k in range(net.num_blocks)}
