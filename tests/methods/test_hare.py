"""Hare & Tortoise: the average after n steps in closed form, and when the network becomes it."""

from __future__ import annotations

import torch
from bits import bit_equal, changed_names, copy_state
from fake_training import FakeRun

from reinit_bench.methods.hare import _Tortoise


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
