"""Methods that act while a round trains: l2init, hare, swr. Their steps are held to the authors' code elsewhere."""

from __future__ import annotations

import pytest
import torch
from bits import bit_equal, changed_names, copy_state
from fake_training import FakeRun
from training_helpers import TRAINER, mlp, train, vector_task

from reinit_bench.methods.hare import _Tortoise
from reinit_bench.methods.l2init import _Pull
from reinit_bench.methods.swr import Swr
from reinit_bench.models.parameters import frobenius, kernel_names


def test_one_step_of_training_moves_by_the_learning_rate_times_the_pull() -> None:
    task, trainer = vector_task(), TRAINER
    plain, pulled = mlp(), mlp()
    initial = {name: value.detach() - 1.0 for name, value in pulled.named_parameters()}  # everything is 1 away
    train(plain, task, trainer, steps=1)
    train(pulled, task, trainer, steps=1, hooks=_Pull(initial, 0.5))
    for (name, one), other in zip(plain.named_parameters(), pulled.parameters(), strict=True):
        # The gradient of 0.5 * sum (w - w0)^2 is 1 for each element, and the learning rate 0.05.
        torch.testing.assert_close(other, one - 0.05, msg=name)


def test_buffers_are_averaged_and_counters_copied() -> None:
    net = torch.nn.BatchNorm1d(2)
    hooks = _Tortoise(0.75, 1)
    hooks.begin(net)
    net.running_mean.fill_(4.0)
    net.num_batches_tracked.fill_(9)
    hooks.after_step(net)
    average = hooks.state_dict()["average"]
    assert average["running_mean"].tolist() == [1.0, 1.0]
    assert average["num_batches_tracked"].item() == 9


def test_a_filled_lambda_keeps_its_bits() -> None:
    run = FakeRun()
    run.net.lambda_of(2).fill(torch.tensor(0.1234567), torch.tensor(3.21))
    hooks = _Tortoise(0.999, 1)
    hooks.begin(run.net)
    before = copy_state(run.net)
    for _ in range(50):
        hooks.after_step(run.net)
    hooks.after_epoch(run.net, torch.optim.SGD(run.net.parameters(), lr=1.0))
    assert changed_names(before, run.net) == set()


def test_the_network_becomes_the_average_every_so_many_epochs() -> None:
    run = FakeRun()
    hooks = _Tortoise(0.9, 2)
    hooks.begin(run.net)
    optimizer = torch.optim.SGD(run.net.parameters(), lr=1.0)
    with torch.no_grad():
        for value in run.parameters.values():
            value.add_(1.0)
    hooks.after_step(run.net)
    trained = copy_state(run.net)
    hooks.after_epoch(run.net, optimizer)
    assert changed_names(trained, run.net) == set()
    hooks.after_epoch(run.net, optimizer)
    for name, value in run.parameters.items():
        torch.testing.assert_close(value.detach(), run.initial[name] + 0.1)
    with torch.no_grad():
        run.parameters["top.head.bias"].add_(5.0)
    average = hooks.state_dict()["average"]["top.head.bias"]
    assert not bit_equal(average, run.parameters["top.head.bias"].detach()), "average and network share memory"


def after_steps(run: FakeRun, method: Swr, count: int) -> None:
    hooks = method.hooks(run.net, run.context(1))
    with torch.no_grad():
        for _ in range(count):
            hooks.after_step(run.net)


def test_strength_1_pins_the_norms_also_upwards() -> None:
    run = FakeRun()
    with torch.no_grad():
        for value in run.parameters.values():
            value.mul_(0.5)
    after_steps(run, Swr(strength=1), 1)
    for name in kernel_names(run.net):
        assert frobenius(run.parameters[name]) == pytest.approx(run.norms[name], rel=1e-6), name


def test_a_kernel_of_zeros_stays() -> None:
    run = FakeRun()
    with torch.no_grad():
        run.parameters["top.head.weight"].zero_()
    after_steps(run, Swr(), 2)
    assert not run.parameters["top.head.weight"].any()
    assert all(bool(torch.isfinite(value).all()) for value in run.parameters.values())


def test_proportional_with_norms_multiplies_the_output_by_one_number() -> None:
    run = FakeRun()
    run.train()
    before = run.net.eval()(run.inputs).detach()
    after_steps(run, Swr(strength=0.2, proportional=True), 1)
    after = run.net(run.inputs).detach()
    cosines = torch.nn.functional.cosine_similarity(before, after)
    # The norms' epsilon keeps it from being exact.
    assert float(cosines.min()) > 0.999
