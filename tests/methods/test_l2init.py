"""L2 Init: the gradient of the penalty, and what a step makes of it."""

from __future__ import annotations

import pytest
import torch
from fake_training import FakeRun
from training_helpers import TRAINER, mlp, train, vector_task

from reinit_bench.methods.l2init import L2Init, _Pull


def test_the_gradient_is_twice_the_strength_times_the_distance_for_every_parameter() -> None:
    run = FakeRun()
    run.train()
    hooks = L2Init(strength=0.25).hooks(run.net, run.context(2))
    penalty = hooks.penalty(run.net)
    assert penalty is not None
    distances = {name: value.detach() - run.initial[name] for name, value in run.parameters.items()}
    wanted = 0.25 * sum(float(distance.double().square().sum()) for distance in distances.values())
    assert penalty.item() == pytest.approx(wanted, rel=1e-5)
    penalty.backward()
    for name, value in run.parameters.items():
        assert value.grad is not None
        torch.testing.assert_close(value.grad, 2 * 0.25 * distances[name])


def test_one_step_of_training_moves_by_the_learning_rate_times_the_pull() -> None:
    task, trainer = vector_task(), TRAINER
    plain, pulled = mlp(), mlp()
    initial = {name: value.detach() - 1.0 for name, value in pulled.named_parameters()}  # everything is 1 away
    train(plain, task, trainer, steps=1)
    train(pulled, task, trainer, steps=1, hooks=_Pull(initial, 0.5))
    for (name, one), other in zip(plain.named_parameters(), pulled.parameters(), strict=True):
        # The gradient of 0.5 * sum (w - w0)^2 is 1 for each element, and the learning rate 0.05.
        torch.testing.assert_close(other, one - 0.05, msg=name)
