"""DASH: the cosines, worked out with plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bits import changed_names, copy_state
from fake_training import FakeRun
from torch import Tensor
from torch.nn import functional

from reinit_bench.methods.dash import Dash, cosine
from reinit_bench.models.parameters import norm_names


def average_gradients(run: FakeRun, alpha: float, size: int) -> dict[str, np.ndarray]:
    """G by hand: autograd over the batches in order, the average in numpy."""
    average = {name: np.zeros(value.shape) for name, value in run.parameters.items()}
    for inputs, labels in zip(run.inputs.split(size), run.labels.split(size), strict=True):
        run.net.zero_grad()
        functional.cross_entropy(run.net.eval()(inputs), labels).backward()
        for name, value in run.parameters.items():
            assert value.grad is not None
            average[name] = (1 - alpha) * average[name] - alpha * value.grad.double().numpy()
    run.net.zero_grad()
    run.net.train()
    return average


def expected(weight: np.ndarray, average: np.ndarray, floor: float) -> np.ndarray:
    """w times the clipped cosine of its piece, piece by piece, in plain loops."""
    out = weight.copy()
    places = list(np.ndindex(weight.shape[:2])) if weight.ndim == 4 else list(np.ndindex(weight.shape[:1]))
    for place in [()] if weight.ndim == 1 else places:
        w, g = weight[place].ravel(), average[place].ravel()
        out[place] *= min(1.0, max(floor, w @ g / np.sqrt((w @ w) * (g @ g))))
    return out


@pytest.mark.parametrize("model", ["scnn", "mlp"])
@pytest.mark.parametrize(("alpha", "floor", "size"), [(0.1, 0.05, 32)])
def test_kernels_and_biases_are_multiplied_by_their_cosines(model: str, alpha: float, floor: float, size: int) -> None:
    run = FakeRun(model)
    run.train()
    average, before = average_gradients(run, alpha, size), copy_state(run.net)
    run.begin(Dash(alpha=alpha, floor=floor, batch_size=size), 2)
    norms = set(norm_names(run.net))
    for name, now in run.parameters.items():
        if name not in norms:
            wanted = expected(before[name].double().numpy(), average[name], floor)
            torch.testing.assert_close(now.detach(), torch.from_numpy(wanted).float(), rtol=1e-4, atol=1e-6)
    assert not changed_names(before, run.net) & norms


def test_the_first_round_changes_nothing_and_training_mode_and_gradients_stay() -> None:
    run = FakeRun()
    run.train()
    before, _ = run.begin(Dash(), 1)
    assert changed_names(before, run.net) == set()
    run.parameters["top.head.bias"].requires_grad_(False)
    run.begin(Dash(), 2)
    assert run.net.training
    assert not run.parameters["top.head.bias"].requires_grad
    assert all(value.grad is None for value in run.parameters.values())


@pytest.mark.parametrize(
    ("a", "b", "value"),
    [
        ([3.0, 4.0], [4.0, 3.0], 0.96),
        ([1.0, 0.0], [0.0, 2.0], 0.0),
        ([2.0], [-5.0], -1.0),
        ([0.0, 0.0], [1.0, 1.0], 0.0),
        ([3e-38, 4e-38], [4e30, 3e30], 0.96),
    ],
)
def test_cosines_by_hand_whatever_the_size(a: list[float], b: list[float], value: float) -> None:
    assert cosine(torch.tensor([a]), torch.tensor([b])).item() == pytest.approx(value, abs=1e-6)


def test_micro_batches_give_the_same_up_to_rounding() -> None:
    found: list[dict[str, Tensor]] = []
    for size in (None, 7):
        run = FakeRun()
        run.train()
        run.micro_batch = size
        run.begin(Dash(), 2)
        found.append(copy_state(run.net))
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name], rtol=1e-4, atol=1e-6)
