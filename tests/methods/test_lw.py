"""LW: Algorithm 1 to the element, and each of its switches on its own; on networks that are wrapped, too."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from bits import bit_equal, changed_names
from fake_training import FakeRun
from torch import Tensor

from reinit_bench.methods.dash import Dash
from reinit_bench.methods.fire import Fire
from reinit_bench.methods.llf import Llf
from reinit_bench.methods.lw import Lw, is_head
from reinit_bench.methods.rifle import Rifle
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.parameters import frobenius, kernel_names

BOTH = [("scnn", 4), ("mlp", 3)]
EVERY_BLOCK = [(model, block) for model, blocks in BOTH for block in range(1, blocks + 1)]


def lambda_names(*blocks: int) -> set[str]:
    return {f"lambdas.{block - 1}.{kind}" for block in blocks for kind in ("mean", "std")}


def rescaled_names(net: BlockNet, block: int) -> set[str]:
    return set(kernel_names(net, net.names_in_blocks(1, block)))


def probe(net: BlockNet, inputs: Tensor, block: int) -> Tensor:
    """Block `block`'s output after its lambda, in evaluation mode."""
    net.eval()
    with torch.no_grad():
        return net.lambda_of(block)(net.block_output(inputs, block)).double()


@pytest.mark.parametrize(("model", "blocks"), BOTH)
def test_algorithm_1_from_the_first_round_to_the_last(model: str, blocks: int) -> None:
    run = FakeRun(model)
    for k in range(1, blocks + 1):
        before, mask = run.begin(Lw(), k, block=k)
        above, head = set(run.net.names_above(k)), is_head(run.net, k)
        # All of what is above k and nothing below.
        assert set(mask) == above
        assert all(bool(chosen.all()) for chosen in mask.values())
        for name in above:
            assert torch.equal(run.parameters[name], run.eta(name, k)), name
        # What may differ below: kernels (rescaled; in round 1 they still have their norm) and lambda k.
        rescaled = rescaled_names(run.net, k) if k > 1 else set()
        filled = set() if head else lambda_names(k)
        assert changed_names(before, run.net) - above == rescaled | filled
        for name in kernel_names(run.net, run.net.names_in_blocks(1, k)):
            assert frobenius(run.parameters[name]) == pytest.approx(run.norms[name], rel=1e-6), name
        if not head:
            output = probe(run.net, run.inputs, k)
            assert output.mean().item() == pytest.approx(0.0, abs=2e-6)
            assert output.std(correction=0).item() == pytest.approx(1.0, rel=2e-6)
        run.train()


@pytest.mark.parametrize("unit", ["layer", "block"])
def test_statistics_are_those_of_the_rescaled_network(unit: str) -> None:
    run = FakeRun("mlp")
    run.train()
    twin = copy.deepcopy(run.net)
    run.begin(Lw(rescale_unit=unit), 2, block=2)
    plain = twin.block_output(run.inputs, 2).double()
    with torch.no_grad():
        for name, value in twin.named_parameters():
            if name in ("blocks.0.dense.weight", "blocks.1.dense.weight"):
                value.mul_(run.norms[name] / value.double().square().sum().sqrt().item())
        output = twin.block_output(run.inputs, 2).double()
    slot = run.net.lambda_of(2)
    assert slot.mean.item() == pytest.approx(output.mean().item(), rel=1e-5)
    assert slot.std.item() == pytest.approx(output.std(correction=0).item(), rel=1e-5)
    assert slot.std.item() != pytest.approx(plain.std(correction=0).item(), rel=0.05)


@pytest.mark.parametrize("off", ["rescale", "normalize", "reinitialize"])
@pytest.mark.parametrize(("model", "block"), EVERY_BLOCK)
def test_a_switch_that_is_off_keeps_every_bit_of_its_step(model: str, block: int, off: str) -> None:
    run = FakeRun(model)
    run.train()
    before, _ = run.begin(Lw(**{off: False}), 2, block=block)
    steps = {
        "rescale": rescaled_names(run.net, block),
        "normalize": set() if is_head(run.net, block) else lambda_names(block),
        "reinitialize": set(run.net.names_above(block)),
    }
    assert changed_names(before, run.net) == set().union(*(names for step, names in steps.items() if step != off))
    assert run.asked_for == ([] if off == "normalize" or is_head(run.net, block) else [256])


def test_a_plain_first_round_keeps_every_bit() -> None:
    run = FakeRun()
    method = Lw(first_round="plain", clear_lambdas_above=True, freeze=True)
    before, mask = run.begin(method, 1, block=0)
    assert mask == {}
    assert changed_names(before, run.net) == set()
    assert method.frozen(run.net, run.context(1, block=0)) == frozenset()


@pytest.mark.parametrize(("model", "block"), EVERY_BLOCK)
def test_freeze_freezes_blocks_1_to_k_but_never_the_head_nor_round_1(model: str, block: int) -> None:
    run = FakeRun(model)
    frozen = Lw(freeze=True).frozen(run.net, run.context(2, block=block))
    below = {name for name in run.parameters if name.startswith(tuple(f"blocks.{k}." for k in range(block)))}
    # The MLP's head is its last block: with it frozen, nothing would be left to train.
    assert frozen == below - {"blocks.2.head.weight", "blocks.2.head.bias"}
    assert set(run.parameters) - frozen
    assert Lw(freeze=True).frozen(run.net, run.context(1, block=block)) == frozenset()
    assert Lw().frozen(run.net, run.context(2, block=block)) == frozenset()


@pytest.mark.parametrize("unit", ["layer", "block"])
def test_rescale_unit_chooses_whose_norm_is_restored(unit: str) -> None:
    run = FakeRun("mobilenet")
    names = kernel_names(run.net, run.net.names_in_blocks(2, 2))
    assert len(names) == 2
    with torch.no_grad():
        run.parameters[names[0]].mul_(3.0)
    run.begin(Lw(rescale_unit=unit), 2, block=2)
    now, wanted = [frobenius(run.parameters[name]) for name in names], [run.norms[name] for name in names]
    assert (now == pytest.approx(wanted, rel=1e-6)) is (unit == "layer")
    assert math.hypot(*now) == pytest.approx(math.hypot(*wanted), rel=1e-6)


def test_lambda_on_head_normalizes_the_mlps_logits_too() -> None:
    run = FakeRun("mlp")
    run.train()
    before, mask = run.begin(Lw(lambda_on_head=True), 2, block=3)
    assert mask == {}
    assert changed_names(before, run.net) == rescaled_names(run.net, 3) | lambda_names(3)
    run.net.eval()
    with torch.no_grad():
        logits = run.net(run.inputs).double()
    assert logits.mean().item() == pytest.approx(0.0, abs=2e-6)
    assert logits.std(correction=0).item() == pytest.approx(1.0, rel=2e-6)


@pytest.mark.parametrize("clear", [False, True])
def test_clear_lambdas_above_makes_those_above_k_the_identity(clear: bool) -> None:
    run = FakeRun()
    for k in (1, 2, 3, 4):
        run.net.lambda_of(k).fill(torch.tensor(float(k)), torch.tensor(k + 1.0))
    run.begin(Lw(clear_lambdas_above=clear), 5, block=2)
    values = [(run.net.lambda_of(k).mean.item(), run.net.lambda_of(k).std.item()) for k in (1, 3, 4)]
    assert values == ([(1.0, 2.0), (0.0, 1.0), (0.0, 1.0)] if clear else [(1.0, 2.0), (3.0, 4.0), (4.0, 5.0)])
    output = probe(run.net, run.inputs, 2)
    assert output.std(correction=0).item() == pytest.approx(1.0, rel=2e-6)


def test_a_dead_block_is_refused() -> None:
    run = FakeRun("mlp")
    with torch.no_grad():
        run.parameters["blocks.0.dense.bias"].fill_(-1e6)  # no ReLU of it is ever active
    with pytest.raises(ValueError, match="a lambda layer needs a finite mean and a positive std; got 0 and 0"):
        run.begin(Lw(), 2, block=1)


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
