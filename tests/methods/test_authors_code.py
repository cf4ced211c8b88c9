"""The methods against what their authors' public code gives: equal to rounding, or different in the way that is named.

`authors/` holds inputs and outputs of those functions on small networks, numbers only; docs/explanation/methods.md says
which function of which code each file is from. Keys are `variant/state/parameter`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from reinit_bench.core.rounds import Round
from reinit_bench.methods.ban import Ban
from reinit_bench.methods.base import Context, Reinitializer, apply_mask, begin_round
from reinit_bench.methods.cbp import Cbp
from reinit_bench.methods.clip import Clip
from reinit_bench.methods.dash import Dash
from reinit_bench.methods.fire import Fire
from reinit_bench.methods.hare import Hare
from reinit_bench.methods.kels import Kels
from reinit_bench.methods.l2init import L2Init
from reinit_bench.methods.llf import Llf
from reinit_bench.methods.lw import Lw
from reinit_bench.methods.nap import Nap
from reinit_bench.methods.parseval import Parseval
from reinit_bench.methods.redo import Redo, gradient_scores, unit_scores
from reinit_bench.methods.rifle import Rifle
from reinit_bench.methods.selective import Selective
from reinit_bench.methods.snip import Snip
from reinit_bench.methods.snr import Snr
from reinit_bench.methods.sp import ShrinkPerturb
from reinit_bench.methods.swr import Swr
from reinit_bench.methods.upgd import Upgd, _Protection
from reinit_bench.models.blocknet import BlockNet, WrappedNet
from reinit_bench.models.channel_tracing import channels_of
from reinit_bench.models.initializers import Initializer
from reinit_bench.models.parameters import frobenius

Values = dict[str, Tensor]


def read(name: str) -> Values:
    """The arrays of a file, with the inputs `x` and labels `y` of all, unless it has its own."""
    values: Values = {}
    for stem in ("inputs", name):
        with np.load(Path(__file__).parent / "authors" / f"{stem}.npz") as file:
            values |= {key: torch.from_numpy(np.array(file[key])) for key in file.files}
    return values


def part(values: Values, prefix: str) -> Values:
    """What lies directly under a prefix, by the parameter's name."""
    inside = {key.removeprefix(f"{prefix}/"): value for key, value in values.items() if key.startswith(f"{prefix}/")}
    return {key: value for key, value in inside.items() if "/" not in key}


def part_of(values: Values, prefix: str) -> Values:
    """All that lies under a prefix, whatever its depth."""
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}


def small_net(state: Values) -> WrappedNet:
    """Two convolutions and two dense layers with these values; norms and biases where there are values for them."""
    layers: dict[str, nn.Module] = {}
    for n, (inputs, outputs) in enumerate(((3, 6), (6, 8)), start=1):
        layers[f"conv{n}"] = nn.Conv2d(inputs, outputs, 3, padding=1, bias=f"conv{n}.bias" in state)
        if f"bn{n}.weight" in state:
            layers[f"bn{n}"] = nn.BatchNorm2d(outputs)
        if f"layer_norm{n}.weight" in state:
            layers[f"layer_norm{n}"] = nn.GroupNorm(1, outputs)
        layers |= {f"relu{n}": nn.ReLU(), f"pool{n}": nn.MaxPool2d(2)}
    layers |= {"flatten": nn.Flatten(), "fc1": nn.Linear(32, 12), "relu3": nn.ReLU(), "fc2": nn.Linear(12, 5)}
    model = nn.Sequential()
    for name, layer in layers.items():
        model.add_module(name, layer)
    return wrapped(model, ["pool1", "pool2"], state)


def wrapped(model: nn.Module, blocks: list[str], state: Values) -> WrappedNet:
    model.load_state_dict(state, strict=False)
    return BlockNet.wrap(model, blocks, sample=torch.zeros(2, 3, 8, 8))


@dataclass(frozen=True, kw_only=True)
class Given(Initializer):
    """Hands out the values that the authors' code has drawn."""

    drawn: Mapping[str, Tensor]

    def values(self, net: nn.Module, names: Iterable[str], seed: int, *purpose: str | int) -> dict[str, Tensor]:
        return {name: self.drawn[name.removeprefix("model.")] for name in names}


def context(net: BlockNet, fresh: Values | None = None, initial: Values | None = None, **others: Any) -> Context:
    first = {name: (initial or {}).get(name.removeprefix("model."), value) for name, value in net.named_parameters()}
    x, y = others.pop("x", torch.zeros(2, 3, 8, 8)), others.pop("y", torch.zeros(2, dtype=torch.long))
    return Context(
        round=Round(index=others.pop("index", 2), block=others.pop("block", 0), repeat=1, max_steps=1),
        seed=0,
        initializer=Given(drawn=fresh or {}),
        initial=lambda: first,
        initial_norms={name: frobenius(value) for name, value in first.items()},
        examples=lambda count: (x[:count], y[:count]),
        batches=lambda size: zip(x.split(size), y.split(size), strict=True),
    )


def assert_equal(net: WrappedNet, after: Values, tolerance: float = 1e-6, *, but: tuple[str, ...] = ()) -> None:
    """Each tensor's largest difference is at most this share of its largest value."""
    compared = 0
    for name, wanted in after.items():
        if not name.startswith(but or ("none",)):
            found = net.model.state_dict()[name]
            assert (found - wanted).abs().max() <= tolerance * wanted.abs().max(), name
            compared += 1
    assert compared > 1


def transformed(method: Reinitializer, state: Values, **others: Any) -> WrappedNet:
    net = small_net(state)
    begin_round(method, net, context(net, **others))
    return net


@pytest.mark.parametrize("variant", ["plain", "bn"])
def test_fire(variant: str) -> None:
    values = read("fire")
    assert_equal(transformed(Fire(), part(values, f"{variant}/before")), part(values, f"{variant}/after"))


@pytest.mark.parametrize("variant", ["plain", "bn"])
def test_dash_in_evaluation_mode(variant: str) -> None:
    values = read("dash")
    method, data = Dash(batch_size=16), {"x": values["x"], "y": values["y"]}
    net = transformed(method, part(values, f"{variant}/before"), **data)
    assert_equal(net, part(values, f"{variant}/eval/after"))
    if variant == "bn":  # in training mode BatchNorm gives other gradients; the callers of the code have just evaluated
        after = part(values, "bn/train/after")
        assert any((net.model.state_dict()[name] - value).abs().max() > 0.01 for name, value in after.items())


@pytest.mark.parametrize("variant", ["plain", "bn"])
def test_shrink_and_perturb(variant: str) -> None:
    values = read("sp")
    before, initial = part(values, f"{variant}/before"), part(values, f"{variant}/initial")
    net = transformed(ShrinkPerturb(reset_buffers=True), before, fresh=part(values, f"{variant}/fresh"))
    assert_equal(net, part(values, f"{variant}/warm_start/after"))
    method = ShrinkPerturb(towards="initial", shrink=0.2, perturb=0.8)
    assert_equal(transformed(method, before, initial=initial), part(values, f"{variant}/fire/after"))


@pytest.mark.parametrize(("keep", "elsewhere"), [(0.5, 0), (0.8, 20)])
def test_kels(keep: float, elsewhere: int) -> None:
    """With keep 0.8, the code cuts the flattened features within a channel; here the cut is between channels."""
    values = read("kels")
    before, kept = part(values, f"keep{keep}/before"), part(values, f"keep{keep}/mask_kept")
    net = small_net(before)
    mask = Kels(keep=keep).select(net, context(net))
    different = {name: int((mask[f"model.{name}"] == chosen.bool()).sum()) for name, chosen in kept.items()}
    assert different == {name: elsewhere if name == "fc1.weight" else 0 for name in kept}
    net = transformed(Kels(keep=keep), before, fresh=part(values, f"keep{keep}/fresh"))
    assert_equal(net, part(values, f"keep{keep}/after"), but=("fc1",) if elsewhere else ())


def test_wels_given_its_mask() -> None:
    """The code draws each element by itself (`selection=bernoulli`), from torch's generator."""
    values = read("wels")
    net = small_net(part(values, "keep0.8/before"))
    mask = {f"model.{name}": ~kept.bool() for name, kept in part(values, "keep0.8/mask_kept").items()}
    apply_mask(net, mask, {f"model.{name}": value for name, value in part(values, "keep0.8/fresh").items()})
    assert_equal(net, part(values, "keep0.8/after"))


@pytest.mark.parametrize("variant", ["plain", "bn"])
def test_snip(variant: str) -> None:
    values = read("snip")
    net = small_net(part(values, f"{variant}/before"))
    method = Snip(scope="all", sample_examples=100)
    mask = method.select(net, context(net, x=values["x"], y=values["y"]))
    for name, kept in part(values, f"{variant}/one_batch/mask_kept").items():
        assert torch.equal(mask[f"model.{name}"], ~kept.bool()), name


def test_llf() -> None:
    values = read("llf")
    method = Llf(first_block=2, reset_biases=False)
    net = transformed(method, part(values, "norms_kept/before"), fresh=part(values, "norms_kept/fresh"))
    assert_equal(net, part(values, "norms_kept/after"), 0.0)


def test_redo() -> None:
    """Beyond a flatten as the paper means it: all features of a channel; the code's repeat marks other rows there."""
    values = read("redo")
    before = part(values, "before")
    net = small_net(before)
    scores = unit_scores(net, channels_of(net, "redo"), values["x"])
    for layer, wanted in part(values, "dopamine/score").items():
        torch.testing.assert_close(scores[f"model.{layer}.weight"].float(), wanted, rtol=1e-5, atol=1e-6)
    method = Redo(every="round", tau=0.1, sample_examples=64)
    fresh = {
        name: value if value.dim() > 1 else torch.zeros_like(value) for name, value in part(values, "fresh").items()
    }
    assert_equal(transformed(method, before, fresh=fresh, x=values["x"]), part(values, "closed/after"), 0.0)


@pytest.mark.parametrize("variant", ["plain", "bn"])
def test_hare_as_its_paper_describes_it(variant: str) -> None:
    """The code lets both networks share memory at a reset: the average takes the next step whole. It resets earlier."""
    values = read("hare")
    net = small_net(part(values, f"{variant}/before"))
    hooks = Hare(decay=0.9, every=2).hooks(net, context(net))
    hooks.begin(net)
    hooks.load_state_dict({**hooks.state_dict(), "epochs": 1})  # the code's first reset is after its first epoch
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.003, weight_decay=1e-5)
    stored = values["steps_stored"].tolist()
    fast, slow = (part(values, f"{variant}/described/{which}") for which in ("fast", "slow"))
    for step in range(1, max(stored) + 1):
        batch = slice(16 * ((step - 1) % 4), 16 * ((step - 1) % 4) + 16)
        optimizer.zero_grad()
        functional.cross_entropy(net(values["x"][batch]), values["y"][batch]).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        optimizer.step()
        hooks.after_step(net)
        if step in stored:
            at, average = stored.index(step), hooks.state_dict()["average"]
            for name in (name for name in fast if not name.endswith("tracked")):  # a counter, copied here
                wanted = fast[name][at], slow[name][at]
                found = net.model.state_dict()[name], average[f"model.{name}"]
                for one, other in zip(found, wanted, strict=True):
                    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, check_dtype=False)
        if step % 4 == 0:
            hooks.after_epoch(net, optimizer)


@pytest.mark.parametrize(("variant", "proportional"), [("plain", False), ("plain", True), ("bn", False)])
def test_swr(variant: str, proportional: bool) -> None:
    """Each step from the code's own values; with norms, it never starts its product anew, as its paper has it."""
    values = read("swr")
    initial = part(values, f"{variant}/initial")
    gradients, afters = part(values, f"{variant}/one/gradient"), part(values, f"{variant}/one/after")
    for step in range(len(gradients["conv1.weight"])):
        state = initial if step == 0 else {name: value[step - 1] for name, value in afters.items()}
        net = small_net(state)
        hooks = Swr(strength=0.05, proportional=proportional).hooks(net, context(net, initial=initial))
        with torch.no_grad():
            for name, gradient in gradients.items():
                net.get_parameter(f"model.{name}").sub_(gradient[step], alpha=0.1)
        hooks.after_step(net)
        wanted = {name: value[step] for name, value in afters.items()}
        kernels = {name: value for name, value in wanted.items() if value.dim() > 1}
        assert_equal(net, wanted if proportional else kernels)


def test_l2_init_is_twice_the_codes() -> None:
    """Which has a factor 1/2, that its paper does not print, and leaves the norms' parameters out."""
    values = read("l2init")
    for variant in ("plain", "norm"):
        net = small_net(part(values, f"{variant}/before"))
        hooks = L2Init(strength=0.01).hooks(net, context(net, initial=part(values, f"{variant}/initial")))
        penalty = hooks.penalty(net)
        assert penalty is not None
        penalty.backward()
        for name, wanted in part(values, f"{variant}/penalty_gradient").items():
            if "layer_norm" not in name:
                torch.testing.assert_close(net.get_parameter(f"model.{name}").grad, 2 * wanted, rtol=1e-5, atol=1e-9)
            else:
                assert not wanted.any(), name


def test_rifle_given_its_draw() -> None:
    values = read("rifle")
    net = transformed(Rifle(), part(values, "before"), fresh=part(values, "fresh"))
    assert_equal(net, part(values, "after"), 0.0)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(2))
        self.bn1, self.bn2 = nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x))))))


class ResNet(nn.Module):
    """Of four channels throughout; blocks layer1.0 to layer4.1."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.fc = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.Linear(4, 5)
        self.layer1, self.layer2, self.layer3, self.layer4 = (nn.Sequential(Residual(), Residual()) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        output: Tensor = self.fc(self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3)))
        return output


@pytest.mark.parametrize("block", [1, 4])
def test_lw_as_another_code_reads_it(block: int) -> None:
    """Kernels below and all above are equal; that code rescales norms too, and normalizes channel by channel."""
    values = read("lw")
    before, after = part(values, f"generation{block}/before"), part(values, f"generation{block}/after")
    names = [f"layer{stage}.{unit}" for stage in (1, 2, 3, 4) for unit in (0, 1)]
    net = wrapped(ResNet(), names, before)
    fresh = part(values, f"generation{block}/fresh")
    begin_round(Lw(), net, context(net, fresh, part(values, "initial"), index=block, block=block, x=values["x"]))
    below = set(net.names_in_blocks(1, block))
    kernels = {name: after[name] for name in after if f"model.{name}" in below and after[name].dim() > 1}
    assert_equal(net, kernels)
    assert_equal(net, {name: after[name] for name in fresh}, 0.0)
    norms = [name for name in after if f"model.{name}" in below and name.endswith(("bn1.weight", "bn2.weight"))]
    assert any((net.model.state_dict()[name] - after[name]).abs().max() > 0.01 for name in norms)


@pytest.mark.parametrize("weight", [0.5, 1.0])
def test_ban_learns_mixed_targets(weight: float) -> None:
    """No code of the authors is public; the port's gradients for mixed targets at temperature 1."""
    values = read("ban")
    teacher, labels = values["teacher_logits"], values["y"]
    net = BlockNet([nn.Identity()], nn.Identity())
    hooks = Ban(weight=weight).hooks(net, context(net))
    assert hooks is not None
    logits = values["student_logits"].clone().requires_grad_()
    functional.cross_entropy(logits, hooks.targets(teacher, labels)).backward()
    wanted = values[f"alpha{weight:g}_T1/gradient_of_mixed_targets"]
    torch.testing.assert_close(logits.grad, wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("scale", [1, 2])
def test_parseval(scale: int) -> None:
    values = read("parseval")
    net = small_net(part(values, "bn/before"))
    penalty = Parseval(strength=1.0, scale=scale).hooks(net, context(net)).penalty(net)
    assert penalty is not None
    assert float(penalty.detach()) == pytest.approx(float(values[f"bn/scale{scale}/penalty"]), rel=1e-6)
    penalty.backward()
    for name, wanted in part(values, f"bn/scale{scale}/gradient").items():
        found = net.get_parameter(f"model.{name}").grad
        torch.testing.assert_close(torch.zeros_like(wanted) if found is None else found, wanted, rtol=1e-4, atol=1e-5)


def descended(net: WrappedNet, gradients: Values, step: int, lr: float) -> None:
    """One step of gradient descent, after which the parameters have these gradients."""
    with torch.no_grad():
        for name, gradient in gradients.items():
            value = net.get_parameter(f"model.{name}")
            value.grad = gradient[step].clone()
            value.sub_(value.grad, alpha=lr)


def test_nap() -> None:
    values = read("nap")
    state = {name.replace("norm", "layer_norm"): value for name, value in part(values, "initial").items()}
    gradients, after = (
        {name.replace("norm", "layer_norm"): value for name, value in part(values, kind).items()}
        for kind in ("gradient", "after")
    )
    net = small_net(state)
    hooks = Nap().hooks(net, context(net))
    for step in range(2):
        descended(net, gradients, step, 0.1)
        hooks.after_step(net)
        assert_equal(net, {name: value[step] for name, value in after.items()})


@pytest.mark.parametrize(("variant", "zeta"), [("bn", 1), ("plain", 2)])
def test_clip(variant: str, zeta: int) -> None:
    """The code clips the norms too, from 1 to a fifth."""
    values = read("clip")
    net = small_net(part(values, f"{variant}/before"))
    Clip(zeta=zeta, norms=True).hooks(net, context(net)).after_step(net)
    assert_equal(net, part(values, f"{variant}/zeta{zeta}/after"), 0.0)


THRESHOLD = {"every": 3, "factor": 0.02}
LOWEST = {
    "magnitude_proportional": {**THRESHOLD, "utility": "magnitude", "pruning": "proportional"},
    "gradient_proportional_decay": {"every": 2, "factor": 0.015, "pruning": "proportional", "decay": 0.9},
}


def selecting(variant: str, **fields: Any) -> tuple[WrappedNet, Any, Values]:
    """The network after so many steps, what acted, and what the code has redrawn then."""
    values = read("swri")
    net = small_net(part(values, "before"))
    hooks = Selective(**fields).hooks(net, context(net, fresh=part(values, f"{variant}/after")))
    for step in range(fields["every"]):
        descended(net, part(values, f"{variant}/gradient"), step, 0.05)
        if step < fields["every"] - 1:
            hooks.after_step(net)
    return net, hooks, part(values, f"{variant}/redrawn")


def test_selective_weight_reinitialization() -> None:
    net, hooks, _ = selecting("gradient_threshold", **THRESHOLD)
    hooks.after_step(net)
    assert_equal(net, part(read("swri"), "gradient_threshold/after"))


@pytest.mark.parametrize("variant", LOWEST)
def test_selective_weight_reinitialization_of_a_share(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a fraction of one element is one is a draw of the code's own; elements of equal utility are alike."""
    net, hooks, redrawn = selecting(variant, **LOWEST[variant])
    monkeypatch.setattr(hooks, "_redraw", lambda net: None)
    hooks.after_step(net)
    assert sum(int(chosen.sum()) for chosen in redrawn.values()) > 5
    for name, chosen in redrawn.items():
        utility, share = hooks.average[f"model.{name}"], LOWEST[variant]["factor"] * chosen.numel()
        assert int(share) <= int(chosen.sum()) <= int(share) + 1
        if chosen.any():
            assert utility[chosen].max() <= utility[~chosen].min() * (1 + 1e-5), name


def test_upgd(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in its experiments; the README's step is twice as long. The noise is the code's."""
    values = read("upgd")
    noise, gradients, after = (
        part(values, kind) for kind in ("noise", "experiments_global/gradient", "experiments_global/after")
    )
    net = small_net(part(values, "before"))
    hooks = Upgd(decay=0.9, sigma=0.01).hooks(net, context(net))
    monkeypatch.setattr(
        _Protection, "noise", lambda self, name, value: noise[name.removeprefix("model.")][self.steps - 1]
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, weight_decay=0.01)
    for step in range(2):
        for name, value in net.named_parameters():
            value.grad = gradients[name.removeprefix("model.")][step].clone()
        hooks.before_step(net)
        optimizer.step()
        assert_equal(net, {name: value[step] for name, value in after.items()})


def test_redo_by_gradients_is_regrama() -> None:
    """It draws biases too, and would redraw logits; here a recycled unit's bias becomes 0."""
    values = read("regrama")
    before, after, drawn = part(values, "before"), part(values, "threshold/after"), part(values, "threshold/mask")
    net = small_net(before)
    gradients = {f"model.{name}": value for name, value in part(values, "gradient").items()}
    scores = gradient_scores(channels_of(net, "redo"), gradients)
    for name, wanted in part(values, "score").items():
        torch.testing.assert_close(scores[f"model.{name}"], wanted, rtol=1e-5, atol=1e-6)
    fresh = {name: value if value.dim() > 1 else torch.zeros_like(value) for name, value in after.items()}
    method = Redo(every="round", tau=0.3, sample_examples=64, score="gradient")
    net = transformed(method, before, fresh=fresh, x=values["x"], y=values["y"])
    assert_equal(net, {name: value for name, value in after.items() if name.endswith("weight")}, 0.0)
    for layer in ("conv1", "conv2", "fc1"):
        bias = torch.where(drawn[f"{layer}.weight"], 0.0, before[f"{layer}.bias"])
        assert torch.equal(net.get_parameter(f"model.{layer}.bias"), bias)


def test_continual_backprop() -> None:
    """The network of each step is the code's, gradients too, which are of a network that is replaced in part there."""
    values = read("cbp")
    gradients, after, fresh = (part(values, f"plain/{kind}") for kind in ("gradient", "after_reset", "fresh"))
    net = small_net(part(values, "plain/before"))
    drawn = {name: torch.zeros_like(after[name][0]) for name in ("conv1.bias", "conv2.bias", "fc1.bias")}
    method = Cbp(rate=float(values["replacement_rate"]), maturity=int(values["maturity_threshold"]))
    hooks = method.hooks(net, context(net, fresh=drawn))
    optimizer = torch.optim.SGD(net.parameters(), lr=float(values["lr"]))
    replaced = 0
    for step in range(len(after["conv1.weight"])):
        drawn |= {name: value[step] for name, value in fresh.items()}
        hooks.targets(values["x"][16 * (step % 4) :][:16], values["y"])
        hooks.before_step(net)
        assert_equal(net, {name: value[step] for name, value in after.items()})
        for number, layer in enumerate(("layer1", "layer2", "layer3")):
            chosen = values[f"plain/replaced/{layer}"][step].bool()
            assert torch.equal(hooks.ages[number] == 0, chosen)
            replaced += int(chosen.sum())
        for name, value in net.named_parameters():
            value.grad = gradients[name.removeprefix("model.")][step].clone()
        optimizer.step()
    assert replaced == 4


def test_self_normalized_resets() -> None:
    """Ages, thresholds and resets of 16 steps, two updates of thresholds; the network after the resets of step 8.

    From one reset unit to another, the code draws a weight, and here it is 0.
    """
    values = part_of(read("snr"), "authors/")
    layers = [nn.Linear(*values[f"before/Dense_{n}/kernel"].shape) for n in range(3)]
    for n, layer in enumerate(layers):
        layer.load_state_dict(
            {"weight": values[f"before/Dense_{n}/kernel"].T, "bias": values[f"before/Dense_{n}/bias"]}
        )
    net = BlockNet([nn.Sequential(layers[0], nn.ReLU()), nn.Sequential(layers[1], nn.ReLU())], layers[2])
    drawn = {}
    for n in range(2):
        drawn[f"blocks.{n}.0.weight"] = values[f"fresh/Dense_{n}/kernel"][0].T
        drawn[f"blocks.{n}.0.bias"] = torch.zeros(layers[n].out_features)
    method = Snr(quantile=0.9, every=8, least=100, most=1000)
    hooks = method.hooks(net, context(net, fresh=drawn))
    hooks.load_state_dict({**hooks.state_dict(), "thresholds": [torch.full_like(age, 200) for age in hooks.ages]})
    for step, x in enumerate(values["x"]):
        hooks.targets(x, x)
        hooks.before_step(net)
        for n in range(2):
            assert torch.equal(hooks.ages[n], values[f"age_before_reset/Dense_{n}"][step].long()), step
            assert torch.equal(hooks.thresholds[n], values[f"threshold/Dense_{n}"][step].long()), step
        before = [ages.clone() for ages in hooks.ages]
        hooks.after_step(net)
        for n in range(2):
            assert torch.equal((before[n] > 0) & (hooks.ages[n] == 0), values[f"reset/Dense_{n}"][step].bool())
        if step == 7:
            resets = [values[f"reset/Dense_{n}"][step].bool() for n in range(2)]
            between = resets[1][:, None] & resets[0]
            assert not layers[1].weight[between].any()
            for n in range(3):
                wanted = values[f"after/Dense_{n}/kernel"][0].T
                assert torch.equal(layers[n].weight, wanted.where(~between, 0) if n == 1 else wanted)
                layers[n].weight.data.copy_(wanted)
