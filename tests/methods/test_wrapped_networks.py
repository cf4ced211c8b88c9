"""The methods on a residual network and a transformer of torchvision's."""

from __future__ import annotations

import pytest
import torch
from bits import bit_equal, changed_names
from fake_training import FakeRun
from torch import nn

from reinit_bench.methods.dash import Dash
from reinit_bench.methods.fire import Fire, isometry
from reinit_bench.methods.kels import Kels
from reinit_bench.methods.llf import Llf
from reinit_bench.methods.lw import Lw
from reinit_bench.methods.redo import Redo
from reinit_bench.methods.rifle import Rifle
from reinit_bench.models.channel_tracing import NotFollowed
from reinit_bench.models.parameters import kernel_names


@pytest.mark.parametrize(("model", "block"), [("resnet18", 3), ("resnet18", 8), ("vit_tiny", 1), ("vit_tiny", 5)])
def test_lw_rescales_below_redraws_above_and_normalizes_between(model: str, block: int) -> None:
    run = FakeRun(model)
    run.train()
    before, mask = run.begin(Lw(), block, block)
    above = set(run.net.names_above(block))
    below = set(kernel_names(run.net, run.net.names_in_blocks(1, block)))
    assert mask.keys() == above
    assert changed_names(before, run.net) == above | below | {f"lambdas.{block - 1}.{kind}" for kind in ("mean", "std")}
    for name in below:
        assert run.parameters[name].norm().item() == pytest.approx(run.norms[name], rel=1e-5), name
    for name in above:
        assert torch.equal(run.parameters[name], run.eta(name, block)), name
    normalized = run.net.lambda_of(block)(run.net.eval().block_output(run.inputs, block))
    assert normalized.mean().item() == pytest.approx(0.0, abs=1e-4)
    assert normalized.std(correction=0).item() == pytest.approx(1.0, abs=1e-4)


def test_of_a_resnet_s_blocks_the_stem_is_in_the_first() -> None:
    run = FakeRun("resnet18")
    assert {"model.conv1.weight", "model.layer1.0.conv2.weight"} <= set(run.net.names_in_blocks(1, 1))
    assert run.net.names_above(8) == ("model.fc.weight", "model.fc.bias")


def test_fire_changes_a_transformer_s_queries_and_keys_alone() -> None:
    run = FakeRun("vit_tiny")
    run.train()
    before, _ = run.begin(Fire(), 2)
    fused = {f"model.encoder.layers.encoder_layer_{n}.self_attention.in_proj_weight" for n in range(12)}
    assert changed_names(before, run.net) == fused
    for name in fused:
        queries, keys, values = run.parameters[name].detach().chunk(3)
        old = before[name].chunk(3)
        assert bit_equal(values, old[2])
        assert bit_equal((queries, keys), (isometry(old[0], 10), isometry(old[1], 10)))


def test_fire_knows_the_queries_and_keys_of_a_swin_transformer() -> None:
    from torchvision.models import SwinTransformer

    from reinit_bench.models.torchvision import wrapped

    run = FakeRun()
    model = SwinTransformer([4, 4], 6, [1, 1], [2, 2], [4, 4], num_classes=3)
    run.net = wrapped(model, ["features.1.0", "features.3.0"], (3, 32, 32), "swin")
    before, _ = run.begin(Fire(), 2)
    fused = {f"model.features.{stage}.0.attn.qkv.weight" for stage in (1, 3)}
    assert changed_names(before, run.net) == fused
    assert all(bit_equal(run.parameters[name].detach().chunk(3)[2], before[name].chunk(3)[2]) for name in fused)


@pytest.mark.parametrize(
    "method", [Dash(), Rifle(), Llf(), Kels(), Redo(every="round")], ids=lambda m: type(m).__name__
)
def test_a_resnet_suits_every_method(method: object) -> None:
    run = FakeRun("resnet18")
    run.train()
    before, _ = run.begin(method, 2)
    assert changed_names(before, run.net) or isinstance(method, Redo)


@pytest.mark.parametrize("method", [Dash(), Rifle(), Llf()], ids=lambda m: type(m).__name__)
def test_a_transformer_keeps_its_tokens(method: object) -> None:
    run = FakeRun("vit_tiny")
    run.train()
    before, _ = run.begin(method, 2)
    changed = changed_names(before, run.net)
    assert changed
    assert not changed & {"model.class_token", "model.encoder.pos_embedding"}


@pytest.mark.parametrize("method", [Kels(), Redo(every="round"), Redo()], ids=["kels", "redo each round", "redo"])
def test_what_needs_channels_does_not_apply_to_a_transformer(method: Kels | Redo) -> None:
    run = FakeRun("vit_tiny")
    name = "kels" if isinstance(method, Kels) else "redo"
    with pytest.raises(NotFollowed, match=rf"^method {name} does not apply: the network's channels cannot be followed"):
        run.begin(method, 1)


def test_redo_recycles_the_first_unit_of_a_residual_block() -> None:
    """A dead unit of a block's first convolution; what goes into the residual sum is left alone."""
    run = FakeRun("resnet18")
    net = run.net.model
    with torch.no_grad():
        for norm in (net.layer2[0].bn1, net.layer2[0].bn2):
            norm.weight[1], norm.bias[1] = 0.0, -5.0
    before, _ = run.begin(Redo(every="round", tau=0.0), 2)
    changed = {name for name in changed_names(before, run.net) if "layer2.0" in name}
    assert changed == {f"model.layer2.0.{name}" for name in ("conv1.weight", "bn1.weight", "bn1.bias", "conv2.weight")}
    assert isinstance(net.layer2[0].conv2, nn.Conv2d)
    assert net.layer2[0].conv2.weight[:, 1].abs().max() == 0
    assert net.layer2[0].bn1.weight[1] == 1
