"""SWR: norms after n steps in closed form; and that the paper's whole form only scales the output."""

from __future__ import annotations

import pytest
import torch
from fake_training import FakeRun

from reinit_bench.methods.swr import Swr
from reinit_bench.models.parameters import frobenius, kernel_names


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


def test_proportional_without_norms_multiplies_the_output_by_one_number() -> None:
    run = FakeRun("mlp")
    run.train()
    before = run.net.eval()(run.inputs).detach()
    after_steps(run, Swr(strength=0.2, proportional=True), 3)
    ratio = run.net(run.inputs).detach() / before
    torch.testing.assert_close(ratio, ratio[:1, :1].expand_as(ratio), rtol=1e-3, atol=1e-4)
    assert abs(float(ratio[0, 0]) - 1.0) > 0.01


def test_proportional_with_norms_multiplies_the_output_by_one_number() -> None:
    run = FakeRun()
    run.train()
    before = run.net.eval()(run.inputs).detach()
    after_steps(run, Swr(strength=0.2, proportional=True), 1)
    after = run.net(run.inputs).detach()
    cosines = torch.nn.functional.cosine_similarity(before, after)
    # The norms' epsilon keeps it from being exact.
    assert float(cosines.min()) > 0.999
