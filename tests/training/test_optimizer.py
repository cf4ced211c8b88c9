"""Optimizers and schedules by hand: the penalty, each step's rate, what is frozen, what is carried over."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bits import bit_equal, copy_state
from torch import Tensor, nn
from torch.nn import functional
from training_helpers import (
    TRAINER,
    RecordingObserver,
    ScriptValidation,
    make_split,
    make_task,
    mlp,
    train,
    vector_task,
)

from reinit_bench.core.config import Trainer
from reinit_bench.data.task import Task
from reinit_bench.models.scnn import Scnn
from reinit_bench.training.optimizer import make_optimizer, schedule_factor, worst_point_nearby


def identical_examples() -> Task:
    """Nine copies of one example: in any order, a full batch gives the same bits."""
    return make_task(make_split(torch.tensor([[1.0, -2.0, 0.5, 3.0, 1.5]] * 9), torch.full((9,), 1)))


@pytest.mark.parametrize(("form", "kernel"), [("l2", (1.8, 1.51)), ("sgd", (1.85, 1.62875))])
def test_two_steps_by_hand(form: str, kernel: tuple[float, float]) -> None:
    """With a gradient of 1, lambda 1/4, momentum 1/2 and lr 1/10.

    l2: g = 1 + 2/4 * 2 = 2, v = 2, w = 2 - 0.2 = 1.8; then g = 1 + 2/4 * 1.8 = 1.9, v = 2.9, w = 1.8 - 0.29.
    sgd: g = 1 + 1/4 * 2 = 1.5, w = 1.85; then g = 1 + 1/4 * 1.85 = 1.4625, v = 2.2125, w = 1.85 - 0.22125.
    The bias: v = 1, b = 0.9; then v = 1.5, b = 0.75.
    """
    layer = nn.Linear(1, 1).double()
    nn.init.constant_(layer.weight, 2.0)
    nn.init.constant_(layer.bias, 1.0)
    trainer = Trainer(lr=0.1, momentum=0.5, weight_decay=0.25, weight_decay_form=form)
    optimizer = make_optimizer(layer, trainer)
    for step, bias in enumerate((0.9, 0.75)):
        layer.weight.grad, layer.bias.grad = torch.ones(1, 1).double(), torch.ones(1).double()
        optimizer.step()
        assert layer.weight.item() == pytest.approx(kernel[step], abs=1e-14)
        assert layer.bias.item() == pytest.approx(bias, abs=1e-14)


def test_only_kernels_are_penalized() -> None:
    net = Scnn(width=1 / 16).build((1, 8, 8), 3, 0.0)
    names = {id(value): name for name, value in net.named_parameters()}
    penalized, free = make_optimizer(net, Trainer(weight_decay=0.125)).param_groups
    assert (penalized["weight_decay"], free["weight_decay"]) == (0.25, 0.0)
    kernels = {f"blocks.{block}.conv.weight" for block in range(4)} | {"top.hidden.dense.weight", "top.head.weight"}
    assert {names[id(value)] for value in penalized["params"]} == kernels
    assert {names[id(value)] for value in free["params"]} == set(names.values()) - kernels


def test_frozen_parameters_keep_their_bits_and_train_again_in_the_next_round() -> None:
    net, task = mlp(), vector_task()
    frozen = set(net.names_in_blocks(1, 2))
    before = copy_state(net)
    train(net, task, TRAINER, steps=9, frozen=frozen)
    trained = copy_state(net)
    changed = {name for name, _ in net.named_parameters() if not torch.equal(trained[name], before[name])}
    assert changed == {"blocks.2.head.weight", "blocks.2.head.bias"}
    train(net, task, TRAINER, steps=9, index=2)
    assert all(not torch.equal(value, trained[name]) for name, value in net.named_parameters())


def test_with_a_carried_optimizer_two_rounds_are_like_one() -> None:
    task, trainer = identical_examples(), replace(TRAINER, batch_size=9, round_weights="last")
    whole, halves, fresh = mlp(), mlp(), mlp()
    _, momentum_of_six = train(whole, task, trainer, steps=6)
    _, optimizer = train(halves, task, trainer, steps=3)
    _, momentum = train(halves, task, trainer, steps=3, index=2, carried=optimizer)
    assert bit_equal(copy_state(halves), copy_state(whole))
    assert bit_equal(momentum, momentum_of_six)
    for index in (1, 2):
        train(fresh, task, trainer, steps=3, index=index)
    assert not bit_equal(copy_state(fresh), copy_state(whole))


@pytest.mark.parametrize(("carry", "rates"), [(True, (0.1, 0.1)), (False, (0.4, 0.4))])
def test_a_lowered_learning_rate_is_carried_over_or_not(
    script_validation: ScriptValidation, carry: bool, rates: tuple[float, float]
) -> None:
    net, task = mlp(), identical_examples()
    trainer = Trainer(lr=0.4, plateau_epochs=1, batch_size=9)
    script_validation([(0.5, 1.0)] * 3 + [(0.5, 1.0), (0.6, 1.0)])
    result, optimizer = train(net, task, trainer, steps=3)
    assert (result.lr, [group["lr"] for group in optimizer["param_groups"]]) == (0.1, [0.1, 0.1])
    observer = RecordingObserver(net)
    result, _ = train(net, task, trainer, steps=2, index=2, carried=optimizer if carry else None, observer=observer)
    assert tuple(event.lr for event in observer.epochs) == rates
    assert result.lr == rates[-1]


TORCHS = {
    "sgd": partial(torch.optim.SGD, momentum=TRAINER.momentum),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
}


@pytest.mark.parametrize("name", TORCHS)
def test_every_optimizer_steps_as_torchs_own_and_restores_and_calls_hooks(name: str) -> None:
    trainer = replace(TRAINER, optimizer=name, weight_decay=0.0)
    nets = [nn.Linear(3, 2, bias=False) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    ours = make_optimizer(nets[0], trainer)
    theirs = TORCHS[name](nets[1].parameters(), lr=trainer.lr, weight_decay=0.0, foreach=True)
    called: list[bool] = []
    for step in range(4):
        if step == 2:  # as a resumed run does
            saved, ours = ours.state_dict(), make_optimizer(nets[0], trainer)
            ours.load_state_dict(saved)
            ours.register_step_post_hook(lambda *_: called.append(True))
        for net, optimizer in zip(nets, (ours, theirs), strict=True):
            optimizer.zero_grad()
            (net.weight**2).sum().backward()
            optimizer.step()
        assert torch.equal(nets[0].weight, nets[1].weight)
    assert called == [True, True]


class Kernels(nn.Module):
    """Kernels of the given shapes as convolutions and dense layers, then a head."""

    def __init__(self, values: dict[str, Tensor]) -> None:
        super().__init__()
        for name, value in values.items():
            layer = nn.Linear(1, 1) if value.dim() == 2 else nn.Conv2d(1, 1, 1)
            layer.weight = nn.Parameter(value.clone())
            self.add_module(name.partition(".")[0], layer)
        self.head = nn.Linear(2, 2)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_muon_is_torchs_on_matrices_and_convolutions_as_such(memory: torch.memory_format) -> None:
    """Its steps in bfloat16: to 5% of a step. Biases and the head are AdamW's."""
    with np.load(Path(__file__).parents[1] / "methods" / "authors" / "muon.npz") as file:
        values = {name: torch.from_numpy(np.array(file[name])) for name in file.files}
    before = {name.removeprefix("before/"): value for name, value in values.items() if name.startswith("before/")}
    net = Kernels(before)
    net.to(memory_format=memory)
    optimizer = make_optimizer(net, Trainer(optimizer="muon", lr=0.02, weight_decay=0.0))
    kernels = {name: net.get_submodule(name.partition(".")[0]).weight for name in before}
    for step in range(2):
        net.head.weight.grad, start = torch.ones(2, 2), net.head.weight.detach().clone()
        old = {name: kernel.detach().clone() for name, kernel in kernels.items()}
        for name, kernel in kernels.items():
            kernel.grad = torch.empty_like(kernel).copy_(values[f"gradient/{name}"][step])
        optimizer.step()
        for name, kernel in kernels.items():
            wanted = values[f"torch_match_rms_weight_decay0/after/{name}"][step]
            assert (kernel - wanted).norm() < 0.05 * (wanted - old[name]).norm(), name
        torch.testing.assert_close(start - net.head.weight.detach(), torch.full((2, 2), 0.02))


def test_a_cosine_with_warm_up_by_hand() -> None:
    trainer = Trainer(schedule="cosine", warmup_steps=4)
    found = [schedule_factor(trainer, step, 12) for step in range(12)]
    assert found[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert found[4:] == pytest.approx([0.5 + 0.5 * math.cos(math.pi * number / 8) for number in range(8)])
    assert found[8] == pytest.approx(0.5)
    assert 0 < found[11] < 0.05


def test_each_step_is_taken_at_its_rate(script_validation: ScriptValidation) -> None:
    """Two epochs of five steps; the rates that the optimizer had, and those that are reported."""
    trainer = replace(TRAINER, schedule="cosine", warmup_steps=2, lr=0.5)
    script_validation([(0.5, 1.0), (0.6, 1.0)])
    seen: list[float] = []
    net = mlp()
    observer = RecordingObserver(net)
    real = torch.optim.SGD.step

    def step(self, *arguments, **keywords):  # type: ignore[no-untyped-def]
        seen.append(self.param_groups[0]["lr"])
        return real(self, *arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.SGD, "step", step)
        result, _ = train(net, vector_task(), trainer, steps=10, observer=observer)
    wanted = [0.25, 0.5, *(0.25 + 0.25 * math.cos(math.pi * number / 8) for number in range(8))]
    assert seen == pytest.approx(wanted)
    assert [event.lr for event in observer.epochs] == pytest.approx([wanted[4], wanted[9]])
    assert result.lr == pytest.approx(wanted[9])


def test_a_cosine_takes_all_its_steps_and_a_constant_rate_may_converge(script_validation: ScriptValidation) -> None:
    results = {}
    for schedule in ("cosine", "constant", "plateau"):
        script_validation([(0.5, 1.0)] * 8)
        trainer = replace(TRAINER, schedule=schedule, plateau_epochs=2, patience_epochs=4)
        results[schedule], _ = train(mlp(), vector_task(), trainer, steps=40)
    assert (results["cosine"].steps, results["cosine"].converged) == (40, False)
    assert (results["constant"].steps, results["constant"].converged, results["constant"].lr) == (25, True, TRAINER.lr)
    assert (results["plateau"].steps, results["plateau"].lr) == (25, TRAINER.lr / 4)


@pytest.mark.parametrize(
    ("changes", "validated"),
    [
        ({"schedule": "constant"}, [8]),  # nothing looks at it before the round's end
        ({"schedule": "cosine"}, [8]),
        ({"schedule": "plateau"}, list(range(1, 9))),
        ({"schedule": "constant", "round_weights": "best"}, list(range(1, 9))),
        ({"schedule": "cosine", "patience_epochs": 60}, list(range(1, 9))),
    ],
)
def test_validation_happens_only_where_something_depends_on_it(
    changes: dict[str, Any], validated: list[int], script_validation: ScriptValidation
) -> None:
    script_validation([(0.5, 1.0)] * len(validated))
    trainer = replace(TRAINER, **{"round_weights": "last", "patience_epochs": None, "plateau_epochs": 100, **changes})
    observer = RecordingObserver(mlp())
    result, _ = train(observer.net, vector_task(), trainer, steps=40, observer=observer)
    assert (result.steps, result.converged, result.validation_accuracy) == (40, False, 0.5)
    assert [event.epoch for event in observer.epochs if event.validation_accuracy is not None] == validated


def test_a_carried_cosine_starts_at_its_top_in_each_round() -> None:
    trainer = replace(TRAINER, schedule="cosine", optimizer_between_rounds="carry")
    _, before = train(mlp(), vector_task(), trainer, steps=10)
    observer = RecordingObserver(mlp())
    train(observer.net, vector_task(), trainer, steps=1, carried=before, observer=observer)
    assert observer.epochs[0].lr == TRAINER.lr


def one_weight() -> nn.Linear:
    layer = nn.Linear(1, 1).double()
    nn.init.constant_(layer.weight, 2.0)
    nn.init.constant_(layer.bias, 1.0)
    layer.weight.grad, layer.bias.grad = torch.full((1, 1), 3.0).double(), torch.full((1,), 3.0).double()
    return layer


@pytest.mark.parametrize(
    ("optimizer", "form", "weight"),
    [
        ("adam", "l2", 2 - 0.1),  # the first step of Adam has the size lr, whatever the gradient
        ("adam", "sgd", 2 - 0.1),
        ("adamw", "l2", 2 * (1 - 0.1 * 0.25) - 0.1),  # and AdamW first shrinks the kernel by lr * 0.25
        ("adamw", "sgd", 2 * (1 - 0.1 * 0.25) - 0.1),
    ],
)
def test_the_first_step_of_adam_by_hand(optimizer: str, form: str, weight: float) -> None:
    layer = one_weight()
    make_optimizer(layer, Trainer(optimizer=optimizer, lr=0.1, weight_decay=0.25, weight_decay_form=form)).step()
    assert layer.weight.item() == pytest.approx(weight, abs=1e-8)
    assert layer.bias.item() == pytest.approx(1 - 0.1, abs=1e-8)


@pytest.mark.parametrize(("form", "factor_of_w"), [("l2", 2.0), ("sgd", 1.0)])
def test_the_first_step_of_rmsprop_by_hand(form: str, factor_of_w: float) -> None:
    """Its second moment is 0.01 * gradient^2, so that the step is 10 * lr; the penalty is in the gradient."""
    layer = one_weight()
    optimizer = make_optimizer(layer, Trainer(optimizer="rmsprop", lr=0.1, weight_decay=0.25, weight_decay_form=form))
    optimizer.step()
    assert layer.weight.item() == pytest.approx(2 - 1, abs=1e-7)
    assert layer.bias.item() == pytest.approx(1 - 1, abs=1e-7)
    moment = optimizer.state[layer.weight]["square_avg"].item()
    assert moment == pytest.approx(0.01 * (3 + factor_of_w * 0.25 * 2) ** 2)


def test_sam_takes_its_gradient_at_the_worst_point_nearby() -> None:
    """One full-batch step, worked out with autograd on a copy that stands at that point."""
    task, net, other = vector_task(), mlp(), mlp()
    trainer = Trainer(optimizer="sam", sam_radius=0.5, lr=0.1, momentum=0.0, weight_decay=0.0, batch_size=100)
    inputs, labels = task.plain_batch(torch.arange(len(task.train)))
    functional.cross_entropy(other(inputs), labels).backward()
    gradients = [value.grad.clone() for value in other.parameters() if value.grad is not None]
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    start = [value.detach().clone() for value in other.parameters()]
    with torch.no_grad():
        for value, gradient in zip(other.parameters(), gradients, strict=True):
            value.add_(0.5 * gradient / norm)
    other.zero_grad()
    functional.cross_entropy(other(inputs), labels).backward()
    train(net, task, trainer, steps=1)
    for value, old, at_worst in zip(net.parameters(), start, other.parameters(), strict=True):
        assert at_worst.grad is not None
        torch.testing.assert_close(value.detach(), old - 0.1 * at_worst.grad, rtol=1e-5, atol=1e-7)


def test_sam_comes_back_to_the_very_bits_and_leaves_batch_norms_statistics() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    net(torch.randn(5, 3)).square().sum().backward()
    before, momentum = copy_state(net), net[1].momentum
    with worst_point_nearby(net, 0.05):
        assert not bit_equal(copy_state(net), before)
        net(torch.randn(5, 3)).square().sum().backward()
        assert bit_equal(net[1].running_mean, before["1.running_mean"])
    after = copy_state(net)
    after["1.num_batches_tracked"] = before["1.num_batches_tracked"]
    assert bit_equal(after, before)
    assert net[1].momentum == momentum
