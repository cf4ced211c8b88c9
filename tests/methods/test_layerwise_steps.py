"""Algorithm 1's two steps that redraw nothing: rescaling, and filling a lambda layer."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from bits import changed_names, copy_state
from fake_training import FakeRun
from torch import Tensor, nn

from reinit_bench.methods.layerwise import fill_lambda, rescale
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.parameters import frobenius


class Constant(nn.Module):
    """A block whose output is one number everywhere, as with dead units."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return torch.full((len(x), 3, 5), self.value)


@pytest.mark.parametrize("unit", ["layer", "block"])
def test_an_all_zero_kernel_cannot_be_rescaled(unit: str) -> None:
    run = FakeRun()
    with torch.no_grad():
        run.parameters["blocks.1.conv.weight"].zero_()
    with pytest.raises(ValueError, match=r"^blocks\.1\.conv\.weight is all zero and cannot be rescaled$"):
        rescale(run.net, 3, run.norms, unit)


def layers_of(net: BlockNet, block: int) -> dict[str, list[str]]:
    """The parameters of blocks 1 to `block` by layer."""
    found: dict[str, list[str]] = {}
    for name in net.names_in_blocks(1, block):
        found.setdefault(name.rpartition(".")[0], []).append(name)
    return found


@pytest.mark.parametrize(("model", "block"), [("scnn", 2), ("mlp", 3), ("mobilenet", 7)])
def test_scope_all_gives_each_layer_its_joint_norm_back_by_one_factor(model: str, block: int) -> None:
    run = FakeRun(model)
    run.train()
    before = copy_state(run.net)
    rescale(run.net, block, run.norms, scope="all")
    layers = layers_of(run.net, block)
    assert changed_names(before, run.net) == {name for names in layers.values() for name in names}
    for names in layers.values():
        wanted = math.hypot(*(run.norms[name] for name in names))
        assert math.hypot(*(frobenius(run.parameters[name]) for name in names)) == pytest.approx(wanted, rel=1e-6)
        factor = wanted / math.hypot(*(frobenius(before[name]) for name in names))
        for name in names:
            torch.testing.assert_close(run.parameters[name].detach(), before[name] * factor, rtol=1e-6, atol=0.0)
    norms = [names for names in layers.values() if len(names) == 2 and run.parameters[names[0]].dim() == 1]
    for scale, shift in norms:
        # At initialization: scales of 1, shifts of 0.
        joint = math.hypot(frobenius(run.parameters[scale]), frobenius(run.parameters[shift]))
        assert joint == pytest.approx(len(run.parameters[scale]) ** 0.5, rel=1e-6)
        assert run.parameters[shift].abs().max() > 0


@torch.no_grad()
def test_scope_all_leaves_what_a_norm_follows_as_it_was() -> None:
    run = FakeRun("scnn")
    run.train()
    conv, norm = run.net.blocks[0].conv, run.net.blocks[0].norm
    norm.eps = 0.0
    before = norm(conv(run.inputs)).clone()
    conv_only = copy.deepcopy(run.net)
    rescale(run.net, 1, run.norms, scope="all")
    factor = (run.net.blocks[0].norm.weight / conv_only.blocks[0].norm.weight)[0]
    torch.testing.assert_close(norm(conv(run.inputs)), before * factor, rtol=1e-4, atol=1e-5)


def test_scope_all_leaves_tokens_and_positions() -> None:
    run = FakeRun("vit_tiny")
    run.train()
    before = copy_state(run.net)
    rescale(run.net, 1, run.norms, scope="all")
    stays = {name for name in run.net.names_in_blocks(1, 1) if name.endswith(("class_token", "pos_embedding"))}
    assert len(stays) == 2
    assert changed_names(before, run.net) == set(run.net.names_in_blocks(1, 1)) - stays


@pytest.mark.parametrize(("model", "block"), [("scnn", 1), ("scnn", 3), ("mlp", 1), ("mlp", 3)])
def test_lambda_holds_the_mean_and_std_of_all_of_block_ks_output(model: str, block: int) -> None:
    run = FakeRun(model)
    run.net.lambda_of(1).fill(torch.tensor(0.3), torch.tensor(2.0))
    twin = copy.deepcopy(run.net).eval()
    before = copy_state(run.net)
    fill_lambda(run.net, block, run.inputs)
    with torch.no_grad():
        # 70 examples are more than one chunk.
        output = twin.block_output(run.inputs, block).double()
    slot = run.net.lambda_of(block)
    assert slot.mean.item() == pytest.approx(output.mean().item(), rel=1e-6)
    assert slot.std.item() == pytest.approx(output.std(correction=0).item(), rel=1e-6)
    assert slot.mean.shape == slot.std.shape == ()
    normalized = slot(run.net.block_output(run.inputs, block)).double()
    assert normalized.mean().item() == pytest.approx(0.0, abs=1e-6)
    assert normalized.std(correction=0).item() == pytest.approx(1.0, rel=1e-6)
    assert changed_names(before, run.net) == {f"lambdas.{block - 1}.mean", f"lambdas.{block - 1}.std"}


@pytest.mark.parametrize("training", [False, True])
def test_statistics_are_taken_without_dropout_and_the_mode_is_kept(training: bool) -> None:
    run = FakeRun("mlp", dropout_rate=0.5)
    run.net.train(training)
    fill_lambda(run.net, 2, run.inputs)
    assert {module.training for module in run.net.modules()} == {training}
    with torch.no_grad():
        output = run.net.eval().block_output(run.inputs, 2).double()
    assert run.net.lambda_of(2).std.item() == pytest.approx(output.std(correction=0).item(), rel=1e-6)


# Sums of squares of 1.8084 round to a variance above zero, those of 0.1 to one below.
@pytest.mark.parametrize("value", [0.0, 0.1, 1.8084, -1.8084, 1e-20, float("nan"), float("inf")])
def test_a_constant_output_cannot_be_normalized_however_its_sums_round(value: float) -> None:
    net = BlockNet([Constant(value)], nn.Identity())
    with pytest.raises(ValueError, match="a lambda layer needs a finite mean and a positive std; got"):
        fill_lambda(net, 1, torch.zeros(256, 1))
    assert (net.lambda_of(1).mean.item(), net.lambda_of(1).std.item()) == (0.0, 1.0)
