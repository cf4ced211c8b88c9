"""SGD computed by hand: the penalty in both its forms, momentum, what is frozen, what is carried over."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from bits import bit_equal, copy_state
from torch import nn
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
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.scnn import Scnn
from reinit_bench.training.optimizer import make_optimizer, set_lr


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


def test_the_penalty_is_the_gradient_of_lambda_times_the_sum_of_squares() -> None:
    """With inputs of zero the kernel has no other gradient; the bias has only that of the cross-entropy."""
    net = BlockNet([nn.Linear(2, 2)], nn.Identity())
    layer = net.blocks[0]
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 0.5]]))
        layer.bias.zero_()
    before = layer.weight.detach().clone()
    task = make_task(make_split(torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64)), classes=2)
    observer = RecordingObserver(net)
    train(net, task, Trainer(lr=0.5, weight_decay=0.05, batch_size=4), steps=1, observer=observer)
    torch.testing.assert_close(layer.weight, before - 0.5 * 2 * 0.05 * before, rtol=1e-6, atol=0)
    torch.testing.assert_close(layer.bias, torch.tensor([0.25, -0.25]), rtol=1e-6, atol=0)  # p = 1/2
    assert observer.losses == [pytest.approx(0.6931472, rel=1e-6)]  # log 2: the curve is without the penalty


def test_only_kernels_are_penalized() -> None:
    net = Scnn(width=1 / 16).build((1, 8, 8), 3, 0.0)
    names = {id(value): name for name, value in net.named_parameters()}
    penalized, free = make_optimizer(net, Trainer(weight_decay=0.125)).param_groups
    assert (penalized["weight_decay"], free["weight_decay"]) == (0.25, 0.0)
    kernels = {f"blocks.{block}.conv.weight" for block in range(4)} | {"top.hidden.dense.weight", "top.head.weight"}
    assert {names[id(value)] for value in penalized["params"]} == kernels
    assert {names[id(value)] for value in free["params"]} == set(names.values()) - kernels


def test_set_lr_reaches_every_group() -> None:
    optimizer = make_optimizer(mlp(), TRAINER)
    set_lr(optimizer, 0.125)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125]


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


def test_all_kernels_or_all_biases_may_be_frozen() -> None:
    for frozen_end, trained_end in ((".weight", ".bias"), (".bias", ".weight")):
        net = mlp()
        before = copy_state(net)
        frozen = {name for name, _ in net.named_parameters() if name.endswith(frozen_end)}
        train(net, vector_task(), TRAINER, steps=5, frozen=frozen)
        changed = {name for name, value in net.named_parameters() if not torch.equal(value, before[name])}
        assert changed == {name for name in before if name.endswith(trained_end)}


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


def test_a_fresh_optimizer_remembers_nothing_of_the_previous_round() -> None:
    task, trainer = identical_examples(), replace(TRAINER, batch_size=9, round_weights="last")
    net, copied = mlp(), mlp()
    train(net, task, trainer, steps=3)
    copied.load_state_dict(copy_state(net))
    train(net, task, trainer, steps=3, index=2)
    train(copied, task, trainer, steps=3, index=2)
    assert bit_equal(copy_state(net), copy_state(copied))


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
