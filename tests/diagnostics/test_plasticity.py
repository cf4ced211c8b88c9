"""What is measured after each round: exact values where they are known, and nothing that a run could feel."""

from __future__ import annotations

import math

import pytest
import torch
from factories import tiny_experiment
from torch import nn

from reinit_bench.core.config import Execution
from reinit_bench.core.randomness import stream
from reinit_bench.diagnostics import after_round
from reinit_bench.diagnostics.plasticity import effective_rank, measure_round
from reinit_bench.run.experiment import Assembly, Components, assemble, load_task


@pytest.fixture(scope="module")
def run() -> Assembly:
    experiment = tiny_experiment("method=lw")
    components = Components.of(experiment, Execution(device="cpu"))
    return assemble(components, experiment, load_task(experiment, components.device))


def test_the_effective_rank_of_equal_singular_values_is_their_number() -> None:
    assert effective_rank(torch.ones(5, dtype=torch.float64)) == pytest.approx(5)
    assert effective_rank(torch.tensor([3.0, 0.0, 0.0])) == pytest.approx(1)
    assert effective_rank(torch.zeros(3)) == 0


def test_an_untrained_network_has_not_changed_and_its_numbers_are_those_of_autograd(run: Assembly) -> None:
    initial = {name: value.detach().clone() for name, value in run.net.named_parameters()}
    values = after_round(run.net, run.task, 0, initial)
    values = {name.removeprefix("plasticity."): value for name, value in values.items()}
    assert values["weight_change"] == 0
    kernels = [value for name, value in values.items() if name.startswith("weight_norm.")]
    assert values["weight_norm"] == pytest.approx(math.hypot(*kernels))
    assert len(kernels) == 6
    run.net.eval()
    inputs, labels = run.task.sample(256, stream(0, "plasticity", "sample"))
    loss = nn.functional.cross_entropy(run.net(inputs), labels)
    grads = torch.autograd.grad(loss, list(run.net.parameters()))
    assert values["gradient_norm"] == pytest.approx(math.sqrt(sum(float(g.square().sum()) for g in grads)), rel=1e-4)
    assert 1 < values["stable_rank"] < values["effective_rank"] < len(labels)


def test_units_that_are_never_active_are_dormant_and_logits_are_no_units(run: Assembly) -> None:
    before = run.net.state_dict()
    before = {name: value.clone() for name, value in before.items()}
    assert measured(run)["dormant"] < 0.5
    hidden = run.net.get_submodule("top.hidden.norm")
    with torch.no_grad():
        hidden.weight[:100] = 0
        hidden.bias[:100] = -1  # ReLU of it is 0
    with_100 = measured(run)["dormant"]
    with torch.no_grad():
        for name, value in run.net.named_parameters():
            if "norm" in name:
                value.fill_(-1 if name.endswith("bias") else 0)
    assert measured(run)["dormant"] == 1
    run.net.load_state_dict(before)
    assert with_100 >= 100 / (8 + 8 + 16 + 16 + 128)


def measured(run: Assembly) -> dict[str, float]:
    initial = {name: value.detach().clone() for name, value in run.net.named_parameters()}
    run.net.eval()
    with torch.no_grad():
        return dict(measure_round(run.net, run.task, 0, initial))
