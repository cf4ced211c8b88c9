"""FC: the dense layers are redrawn completely, and nothing below them changes."""

from __future__ import annotations

import pytest
import torch
from bits import changed_names
from fake_training import FakeRun

from reinit_bench.methods.fc import Fc, last_conv_block
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.layers import Architecture
from reinit_bench.models.mobilenet import MobileNet
from reinit_bench.models.parameters import frobenius, kernel_names
from reinit_bench.models.resnet50 import ResNet50
from reinit_bench.models.vgg16 import Vgg16

REDRAWN = {
    ("scnn", "dense"): {
        "top.hidden.dense.weight",
        "top.hidden.dense.bias",
        "top.hidden.norm.weight",
        "top.hidden.norm.bias",
        "top.head.weight",
        "top.head.bias",
    },
    ("scnn", "head"): {"top.head.weight", "top.head.bias"},
    ("mlp", "dense"): {"blocks.1.dense.weight", "blocks.1.dense.bias", "blocks.2.head.weight", "blocks.2.head.bias"},
    ("mlp", "head"): {"blocks.2.head.weight", "blocks.2.head.bias"},
}


@pytest.mark.parametrize(("model", "extent"), REDRAWN)
def test_dense_layers_are_redrawn_completely_and_the_rest_keeps_every_bit(model: str, extent: str) -> None:
    run = FakeRun(model)
    for index in (2, 3):
        run.train()
        before, mask = run.begin(Fc(extent=extent), index)
        assert set(mask) == changed_names(before, run.net) == REDRAWN[model, extent]
        assert all(bool(chosen.all()) for chosen in mask.values())
        for name in mask:
            assert torch.equal(run.parameters[name], run.eta(name, index)), name


def tiny(architecture: Architecture) -> BlockNet:
    return architecture.build((3, 32, 32), 5, 0.0)


@pytest.mark.parametrize(
    ("architecture", "layers"),
    [
        (Vgg16(width=1 / 32), {"hidden1.dense", "hidden1.norm", "hidden2.dense", "hidden2.norm", "head"}),
        (MobileNet(width=1 / 32), {"head"}),
        (ResNet50(width=1 / 32), {"head"}),
        # Two layers of convolutions are in the top.
        (MobileNet(width=1 / 32, grouping="single"), {"head"}),
    ],
    ids=["vgg16", "mobilenet", "resnet50", "mobilenet single"],
)
def test_the_dense_layers_of_the_other_architectures(architecture: Architecture, layers: set[str]) -> None:
    net = tiny(architecture)
    assert last_conv_block(net) == net.num_blocks
    chosen = Fc().select(net, FakeRun().context(2))
    assert set(chosen) == {f"top.{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


@pytest.mark.parametrize(("model", "block"), [("scnn", 4), ("mlp", 1)])
@pytest.mark.parametrize("extent", ["dense", "head"])
def test_layerwise_rescales_below_and_normalizes_above_the_last_block(model: str, block: int, extent: str) -> None:
    run = FakeRun(model)
    run.train()
    before, mask = run.begin(Fc(layerwise=True, extent=extent), 2)
    assert set(mask) == REDRAWN[model, extent]
    rescaled = set(kernel_names(run.net, run.net.names_in_blocks(1, block)))
    filled = {f"lambdas.{block - 1}.mean", f"lambdas.{block - 1}.std"}
    assert changed_names(before, run.net) == rescaled | filled | REDRAWN[model, extent]
    for name in rescaled:
        assert frobenius(run.parameters[name]) == pytest.approx(run.norms[name], rel=1e-6)
    assert run.asked_for == [256]
    run.net.eval()
    output = run.net.lambda_of(block)(run.net.block_output(run.inputs, block)).double()
    assert output.mean().item() == pytest.approx(0.0, abs=1e-5)
    assert output.std(correction=0).item() == pytest.approx(1.0, rel=1e-5)
