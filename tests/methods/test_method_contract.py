"""The contract of every method; a new yaml in conf/method is tested without being named here. And equation (1)."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from bits import bit_equal, changed_names, copy_state
from fake_training import FakeRun
from torch import Tensor, nn

from reinit_bench.core.conf_dir import conf_dir
from reinit_bench.core.settings import ConfigError, instantiate
from reinit_bench.methods.base import Mask, Redraw, Reinitializer, apply_mask
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.parameters import kernel_names

MAX_STEPS = 7


@pytest.fixture(params=sorted((conf_dir() / "method").glob("*.yaml")), ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def section(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


@pytest.fixture
def method(section: dict[str, Any]) -> Reinitializer:
    return instantiate(section, "method")


def all_rounds(method: Reinitializer, model: str, seed: int = 0) -> tuple[FakeRun, list[dict[str, Tensor]]]:
    """Begin every round and train it with noise; returns the run and the mask of every round."""
    run, masks = FakeRun(model, seed), []
    for round_ in method.rounds(run.net.num_blocks, method.repeats, MAX_STEPS):
        _, mask = run.begin(method, round_.index, round_.block)
        masks.append(dict(mask))
        frozen = method.frozen(run.net, run.context(round_.index, round_.block))
        assert frozen < set(run.parameters), "nothing is left to train"
        run.train()
    return run, masks


def test_the_yaml_names_itself_and_states_every_default(section: dict[str, Any], path: Path) -> None:
    assert section["name"] == path.stem
    assert len(section["_letter_"]) == 1
    written = {key: value for key, value in section.items() if key != "name" and not key.startswith("_")}
    built = instantiate({"_target_": section["_target_"]}, "method")
    assert written == {spec.name: getattr(built, spec.name) for spec in fields(built)}


def test_the_yaml_states_how_many_rounds_there_are_if_not_k_times_n(
    section: dict[str, Any], method: Reinitializer
) -> None:
    assert len(method.rounds(4, 3, MAX_STEPS)) == section.get("_rounds_", 12)


def test_fresh_scale_multiplies_what_is_redrawn(method: Reinitializer) -> None:
    if not isinstance(method, Redraw):
        assert not hasattr(method, "fresh_scale")
        return
    run, name = FakeRun(), "blocks.3.conv.weight"
    mask = {name: torch.ones_like(run.parameters[name], dtype=torch.bool)}
    plain = method.fresh(run.net, mask, run.context(2))[name]
    scaled = replace(method, fresh_scale=6**0.5).fresh(run.net, mask, run.context(2))[name]
    assert torch.equal(scaled, plain * 6**0.5)


@pytest.mark.parametrize(("blocks", "repeats"), [(4, 1), (3, 3)])
def test_rounds_are_numbered_from_1_and_share_one_budget(method: Reinitializer, blocks: int, repeats: int) -> None:
    rounds = method.rounds(blocks, repeats, MAX_STEPS)
    assert [round_.index for round_ in rounds] == list(range(1, len(rounds) + 1))
    assert sum(round_.max_steps for round_ in rounds) == blocks * repeats * MAX_STEPS
    assert all(0 <= round_.block <= blocks and round_.repeat >= 1 for round_ in rounds)


@pytest.mark.parametrize("model", ["scnn", "mlp"])
def test_all_rounds_are_deterministic_depend_on_the_seed_and_keep_the_networks_form(
    method: Reinitializer, model: str
) -> None:
    untouched = FakeRun(model).net.state_dict()
    first, masks = all_rounds(method, model)
    again, masks_again = all_rounds(method, model)
    assert changed_names(copy_state(first.net), again.net) == set()
    assert bit_equal(masks, masks_again)
    assert len(masks) == len(method.rounds(first.net.num_blocks, method.repeats, MAX_STEPS)) >= 1
    for mask in masks:
        for name, chosen in mask.items():
            assert (chosen.dtype, chosen.shape) == (torch.bool, first.parameters[name].shape)
    other, _ = all_rounds(method, model, seed=1)
    kernel = kernel_names(first.net)[0]
    assert not bit_equal(other.parameters[kernel].detach(), first.parameters[kernel].detach())
    after = first.net.state_dict()
    assert list(after) == list(untouched)
    assert [value.shape for value in after.values()] == [value.shape for value in untouched.values()]
    assert all(bool(torch.isfinite(value).all()) for value in after.values())
    assert first.net.training
    assert all(parameter.requires_grad for parameter in first.parameters.values())


@pytest.mark.parametrize("model", ["scnn", "mlp"])
def test_the_first_round_changes_no_bit_but_for_lw(method: Reinitializer, section: dict[str, Any], model: str) -> None:
    run = FakeRun(model)
    run.train()
    before, mask = run.begin(method, 1, block=1)
    assert (changed_names(before, run.net) == set()) is (section["name"] != "lw")
    assert (mask == {}) is (section["name"] != "lw")


def test_nothing_outside_the_mask_is_drawn(method: Reinitializer) -> None:
    """`fresh` gives values for exactly what `select` names, of the parameter's shape and type."""
    run = FakeRun()
    run.train()
    context = run.context(2, block=2)
    mask: Mask = method.select(run.net, context)
    fresh = method.fresh(run.net, mask, context)
    assert fresh.keys() == mask.keys()
    for name, value in fresh.items():
        assert (value.shape, value.dtype) == (run.parameters[name].shape, torch.float32)


def test_an_unknown_field_is_named(section: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"^method {section['name']} has no field 'nope'; its fields are repeats"):
        instantiate({**section, "nope": 1}, "method")


def three_values() -> BlockNet:
    net = BlockNet([nn.Linear(3, 1)], nn.Identity())
    with torch.no_grad():
        dict(net.named_parameters())["blocks.0.weight"].copy_(torch.tensor([[1.0, -0.0, 3.0]]))
    return net


def test_chosen_elements_become_eta_and_the_others_keep_every_bit() -> None:
    net = three_values()
    before = copy_state(net)
    # (1 - s) * w + s * eta with s * eta = 0 * inf would be NaN, and would turn -0 into 0.
    eta = torch.tensor([[7.0, float("inf"), float("nan")]])
    apply_mask(net, {"blocks.0.weight": torch.tensor([[True, False, False]])}, {"blocks.0.weight": eta})
    assert bit_equal(net.state_dict()["blocks.0.weight"], torch.tensor([[7.0, -0.0, 3.0]]))
    assert changed_names(before, net) == {"blocks.0.weight"}


def test_apply_mask_writes_in_place_and_records_no_gradient() -> None:
    net = three_values()
    kernel = dict(net.named_parameters())["blocks.0.weight"]
    place = kernel.data_ptr()
    apply_mask(
        net, {"blocks.0.weight": torch.ones(1, 3, dtype=torch.bool)}, {"blocks.0.weight": torch.full((1, 3), 5.0)}
    )
    assert (kernel.data_ptr(), kernel.requires_grad, kernel.grad_fn, kernel.tolist()) == (
        place,
        True,
        None,
        [[5.0] * 3],
    )
