"""LLF, FC, S&P: what is redrawn, by name."""

from __future__ import annotations

import pytest
import torch
from bits import bit_equal, changed_names
from fake_training import FakeRun

from reinit_bench.core.settings import ConfigError
from reinit_bench.methods.base import begin_round
from reinit_bench.methods.fc import Fc, last_conv_block
from reinit_bench.methods.llf import Llf
from reinit_bench.methods.sp import ShrinkPerturb
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.layers import Architecture
from reinit_bench.models.mobilenet import MobileNet
from reinit_bench.models.parameters import frobenius, kernel_names, norm_names
from reinit_bench.models.resnet50 import ResNet50
from reinit_bench.models.vgg16 import Vgg16

ABOVE_2 = {
    *(f"blocks.{k}.{name}" for k in (2, 3) for name in ("conv.weight", "conv.bias", "norm.weight", "norm.bias")),
    *(f"top.hidden.{name}" for name in ("dense.weight", "dense.bias", "norm.weight", "norm.bias")),
    "top.head.weight",
    "top.head.bias",
}
NORMS = {name for name in ABOVE_2 if ".norm." in name}


def test_the_upper_half_of_the_blocks_and_the_top_are_redrawn_without_norms() -> None:
    run = FakeRun()
    run.train()
    before, mask = run.begin(Llf(), 2)
    assert set(mask) == ABOVE_2 - NORMS
    for name, now in run.parameters.items():
        assert bit_equal(now.detach(), run.eta(name, 2) if name in mask else before[name]), name


def test_norms_on_request_and_biases_unless_asked() -> None:
    run = FakeRun()
    assert set(Llf(reset_norms=True).select(run.net, run.context(2))) == ABOVE_2
    kernels = {name for name in ABOVE_2 - NORMS if name.endswith("weight")}
    assert set(Llf(reset_biases=False).select(run.net, run.context(2))) == kernels
    assert set(norm_names(run.net)) >= NORMS


@pytest.mark.parametrize(("model", "lowest"), [("scnn", 3), ("mlp", 2), ("mobilenet", 4)])
def test_the_upper_half_of_an_odd_number_of_blocks_has_the_middle_one(model: str, lowest: int) -> None:
    run = FakeRun(model)
    blocks = {int(name.split(".")[1]) + 1 for name in Llf().select(run.net, run.context(2)) if name[:6] == "blocks"}
    assert min(blocks) == lowest
    assert max(blocks) == run.net.num_blocks


def test_the_lowest_block_can_be_any() -> None:
    run = FakeRun()
    assert min(name for name in Llf(first_block=4).select(run.net, run.context(2))).startswith("blocks.3.")
    everything = Llf(first_block=1, reset_norms=True).select(run.net, run.context(2))
    assert set(everything) == set(run.parameters)
    with pytest.raises(ConfigError, match=r"^method\.first_block=5, but the model has 4 blocks$"):
        Llf(first_block=5).rounds(4, 1, 10)


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


def test_scope_kernels_leaves_norms_and_biases() -> None:
    run = FakeRun()
    run.train()
    before, _ = run.begin(ShrinkPerturb(scope="kernels"), 2)
    assert changed_names(before, run.net) == set(kernel_names(run.net))


def test_fresh_scale_multiplies_the_fresh_kernels_alone() -> None:
    run = FakeRun()
    run.train()
    run.begin(ShrinkPerturb(shrink=0, perturb=1, fresh_scale=2), 2)
    for name, now in run.parameters.items():
        assert torch.equal(now, run.eta(name, 2) * (2 if now.dim() >= 2 else 1)), name


@pytest.mark.parametrize("reset", [True, False])
def test_running_statistics_are_kept_unless_asked(reset: bool) -> None:
    run = FakeRun()
    run.net.top.add_module("extra", torch.nn.BatchNorm1d(3))
    statistics = run.net.get_submodule("top.extra")
    statistics.running_mean.fill_(7.0)
    run.initial = {name: value.detach().clone() for name, value in run.parameters.items()}
    begin_round(ShrinkPerturb(reset_buffers=reset), run.net, run.context(2))
    assert statistics.running_mean.tolist() == [0.0 if reset else 7.0] * 3
