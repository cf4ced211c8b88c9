from __future__ import annotations

import pytest
from torch import nn

from reinit_bench.core.settings import ConfigError
from reinit_bench.models.vgg16 import Vgg16

FILTERS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
AT_224 = (224, 112, 112, 56, 56, 56, 28, 28, 28, 14, 14, 14, 7)
PARAMETERS = {
    f"blocks.{k}.{layer}.{what}" for k in range(13) for layer in ("conv", "norm") for what in ("weight", "bias")
}
PARAMETERS |= {
    f"top.{layer}.{what}"
    for layer in ("hidden1.dense", "hidden1.norm", "hidden2.dense", "hidden2.norm", "head")
    for what in ("weight", "bias")
}


def test_convolutions_and_dense_layers_have_the_published_size(meta, size_of) -> None:
    net = meta(Vgg16(), (3, 224, 224))
    assert size_of(net, nn.Conv2d, nn.Linear) == 138_357_544
    assert size_of(net, nn.GroupNorm) == 2 * (sum(FILTERS) + 2 * 4096)
    assert {name for name, _ in net.named_parameters()} == PARAMETERS


def test_multiply_adds_are_the_published_15_5_billion(meta, mult_adds) -> None:
    assert mult_adds(meta(Vgg16(), (3, 224, 224)), (3, 224, 224)) == 15_470_264_320


def test_block_outputs_at_224(meta, block_shapes) -> None:
    expected = [(filters, pixels, pixels) for filters, pixels in zip(FILTERS, AT_224, strict=True)]
    assert block_shapes(meta(Vgg16(), (3, 224, 224)), (3, 224, 224)) == [*expected, (1000,)]


def test_block_outputs_at_the_smallest_size(meta, block_shapes) -> None:
    net = meta(Vgg16(), (3, 32, 32), 5)
    pixels = [shape[1] for shape in block_shapes(net, (3, 32, 32))[:-1]]
    assert pixels == [32, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2, 1]
    assert net.top.hidden1.dense.in_features == 512


def test_images_need_not_be_square(meta, block_shapes) -> None:
    assert block_shapes(meta(Vgg16(), (3, 32, 70), 5), (3, 32, 70))[-2:] == [(512, 1, 2), (5,)]


def test_width(meta, block_shapes) -> None:
    net = meta(Vgg16(width=0.25), (3, 64, 64), 5)
    assert [shape[0] for shape in block_shapes(net, (3, 64, 64))[:-1]] == [filters // 4 for filters in FILTERS]
    assert net.top.hidden1.dense.weight.shape == (1024, 128 * 2 * 2)
    assert net.top.hidden2.dense.weight.shape == (1024, 1024)


def test_dropout_follows_each_dense_activation(meta, top_order) -> None:
    dense = ["Linear", "Norm", "Dropout"]
    assert top_order(meta(Vgg16(), (3, 32, 32)), (3, 32, 32)) == ["Flatten", *dense, *dense, "Linear"]


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        Vgg16().build((3, 224, 31), 10, 0.0)
    assert str(caught.value) == "vgg16 needs image_size of at least 32 (5 2x2 poolings); got 31"


def test_conv_bias_false_leaves_biases_to_the_dense_layers(meta) -> None:
    net = meta(Vgg16(conv_bias=False), (3, 32, 32))
    usual = {name for name, _ in meta(Vgg16(), (3, 32, 32)).named_parameters()}
    gone = usual - {name for name, _ in net.named_parameters()}
    assert gone == {f"blocks.{k}.conv.bias" for k in range(net.num_blocks)}
