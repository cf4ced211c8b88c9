"""S&P: w <- shrink * w + perturb * w', exactly."""

from __future__ import annotations

import pytest
import torch
from bits import changed_names
from fake_training import FakeRun

from reinit_bench.methods.base import begin_round
from reinit_bench.methods.sp import ShrinkPerturb
from reinit_bench.models.parameters import kernel_names


@pytest.mark.parametrize("model", ["scnn", "mlp"])
def test_every_parameter_is_shrunk_and_a_fresh_one_added(model: str) -> None:
    run = FakeRun(model)
    run.train()
    before, _ = run.begin(ShrinkPerturb(), 2)
    for name, now in run.parameters.items():
        assert torch.equal(now, (0.4 * before[name]).add(run.eta(name, 2), alpha=0.1)), name


def test_scope_kernels_leaves_norms_and_biases() -> None:
    run = FakeRun()
    run.train()
    before, _ = run.begin(ShrinkPerturb(scope="kernels"), 2)
    assert changed_names(before, run.net) == set(kernel_names(run.net))


def test_fresh_scale_multiplies_the_fresh_kernels_alone() -> None:
    run = FakeRun()
    run.train()
    run.begin(ShrinkPerturb(shrink=0, perturb=1, fresh_scale=2), 2)
    for name, now in run.parameters.items():
        assert torch.equal(now, run.eta(name, 2) * (2 if now.dim() >= 2 else 1)), name


@pytest.mark.parametrize("reset", [True, False])
def test_running_statistics_are_kept_unless_asked(reset: bool) -> None:
    run = FakeRun()
    run.net.top.add_module("extra", torch.nn.BatchNorm1d(3))
    statistics = run.net.get_submodule("top.extra")
    statistics.running_mean.fill_(7.0)
    run.initial = {name: value.detach().clone() for name, value in run.parameters.items()}
    begin_round(ShrinkPerturb(reset_buffers=reset), run.net, run.context(2))
    assert statistics.running_mean.tolist() == [0.0 if reset else 7.0] * 3
