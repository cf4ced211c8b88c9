"""The methods on a residual network and a transformer of torchvision's."""

from __future__ import annotations

import pytest
import torch
from bits import bit_equal, changed_names
from fake_training import FakeRun

from reinit_bench.methods.dash import Dash
from reinit_bench.methods.fire import Fire, isometry
from reinit_bench.methods.llf import Llf
from reinit_bench.methods.lw import Lw
from reinit_bench.methods.rifle import Rifle
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


@pytest.mark.parametrize("method", [Dash(), Rifle(), Llf()], ids=lambda m: type(m).__name__)
def test_a_transformer_keeps_its_tokens(method: object) -> None:
    run = FakeRun("vit_tiny")
    run.train()
    before, _ = run.begin(method, 2)
    changed = changed_names(before, run.net)
    assert changed
    assert not changed & {"model.class_token", "model.encoder.pos_embedding"}
