"""The controls cold, restart and BAN; and RIFLE, which redraws the head alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from bits import changed_names
from fake_training import FakeRun
from training_helpers import TRAINER, RecordingObserver, mlp, train, vector_task

from reinit_bench.methods.ban import Ban
from reinit_bench.methods.base import begin_round
from reinit_bench.methods.cold import Cold
from reinit_bench.methods.restart import Restart


@pytest.mark.parametrize("kind", [Cold, Ban])
def test_every_round_but_the_first_begins_with_a_fresh_network(kind: type[Cold]) -> None:
    run = FakeRun()
    run.train()
    before, _ = run.begin(kind(), 1)
    assert changed_names(before, run.net) == set()
    for index in (2, 3):
        run.train()
        run.begin(kind(), index)
        for name, value in run.parameters.items():
            assert torch.equal(value, run.eta(name, index)), name


def test_cold_resets_running_statistics() -> None:
    run = FakeRun()
    run.net.top.add_module("extra", torch.nn.BatchNorm1d(3))
    statistics = run.net.get_submodule("top.extra")
    for index, value in ((1, 7.0), (2, 0.0)):
        statistics.running_mean.fill_(7.0)
        begin_round(Cold(), run.net, run.context(index))
        assert statistics.running_mean.tolist() == [value] * 3


def test_restart_has_the_rounds_and_changes_nothing() -> None:
    assert len(Restart().rounds(4, 2, 10)) == 8
    run = FakeRun()
    run.train()
    before, _ = run.begin(Restart(), 2)
    assert changed_names(before, run.net) == set()


def test_ban_has_no_teacher_in_the_first_round() -> None:
    run = FakeRun()
    assert Ban().hooks(run.net, run.context(1)) is None


def test_the_loss_of_ban_by_hand() -> None:
    """One step's loss is 0.5 * cross-entropy to the labels + 0.5 * cross-entropy to the teacher."""
    teacher, student, task = mlp(), mlp(), vector_task()
    with torch.no_grad():
        for value in teacher.parameters():
            value.add_(0.05)
    inputs = task.train.span(0, 22)
    logits, taught = (net(inputs).detach().double().numpy() for net in (student, teacher))
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    shares = np.exp(taught) / np.exp(taught).sum(1, keepdims=True)
    labels = task.train.labels.numpy()
    wanted = -0.5 * logs[np.arange(len(labels)), labels].mean() - 0.5 * (shares * logs).sum(1).mean()
    observer = RecordingObserver(student)
    hooks = Ban().hooks(teacher, FakeRun("mlp").context(2))
    train(student, task, replace(TRAINER, batch_size=22), steps=1, hooks=hooks, observer=observer)
    assert observer.losses == [pytest.approx(wanted, rel=1e-5)]
