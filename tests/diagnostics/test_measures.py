"""Margins, sharpness and sizes of networks whose values are worked out by hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from training_helpers import make_split, make_task

from reinit_bench.core.randomness import stream
from reinit_bench.data.task import Task
from reinit_bench.diagnostics import diagnose, margins, sharpness, weights
from reinit_bench.models.blocknet import BlockNet, Dropout

IDENTITY = [[1.0, 0.0], [0.0, 1.0]]


def task_of(inputs: Sequence[Sequence[float]] | Tensor, labels: Sequence[int]) -> Task:
    """A task of these vectors; every split is the training split."""
    split = make_split(torch.as_tensor(inputs, dtype=torch.float32), torch.tensor(labels))
    return make_task(split, classes=max(labels) + 1)


def dense(weight: Sequence[Sequence[float]], bias: Sequence[float]) -> nn.Linear:
    """A dense layer with these values."""
    layer = nn.Linear(len(weight[0]), len(weight))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        layer.bias.copy_(torch.tensor(bias))
    return layer


def one_layer(weight: Sequence[Sequence[float]], bias: Sequence[float]) -> BlockNet:
    """A network whose logits are weight x + bias."""
    return BlockNet([dense(weight, bias)], nn.Identity())


def test_margins_are_differences_of_softmax_outputs() -> None:
    logits = torch.tensor([[5.0, 3.0, 2.0]] * 3).log()  # softmax outputs 0.5, 0.3 and 0.2
    found = margins.margins(logits, torch.tensor([0, 1, 2]))
    assert found.tolist() == pytest.approx([0.2, -0.2, -0.3], abs=1e-7)


def test_the_smallest_margins_of_the_whole_training_set_come_first() -> None:
    # With two logits (z, 0) and label 0 the margin is tanh(z / 2).
    z = [2.0, -1.0, 0.5, 3.0]
    task = task_of([[x, 0.0] for x in z], [0] * 3 + [1])
    values, _ = diagnose({"margins": margins.measure}, one_layer(IDENTITY, [0.0, 0.0]), task, 0)
    expected = [-math.tanh(1.5), -math.tanh(0.5), math.tanh(0.25), math.tanh(1.0)]
    assert values["margins.smallest"].tolist() == pytest.approx(expected, abs=1e-7)
    assert values["margins.examples"] == 4


def test_four_hundred_margins_are_kept_and_float64_tells_good_ones_apart() -> None:
    z = torch.linspace(20.0, 30.0, 1500)
    task = task_of(torch.stack([z, torch.zeros_like(z)], dim=1).flip(0), [0] * 1499 + [1])
    values, _ = diagnose({"margins": margins.measure}, one_layer(IDENTITY, [0.0, 0.0]), task, 0)
    smallest = values["margins.smallest"][1:]  # the one with the other label is the smallest
    assert (len(smallest), values["margins.examples"]) == (399, 1500)
    gaps = 2 / (np.exp(np.linspace(20.0, 30.0, 1500)[1:400]) + 1)
    assert np.allclose(1 - smallest, gaps, rtol=1e-4)
    assert bool((np.diff(smallest) > 0).all())


def test_sharpness_is_what_the_named_noise_does_to_accuracy_and_loss() -> None:
    weight, bias = [[0.01, 0.0], [0.0, 0.01]], [0.005, 0.0]
    x, labels = [[1.0, 2.0], [-2.0, 0.5], [0.3, -1.0]], [1, 1, 0]
    values, _ = diagnose({"sharpness": sharpness.measure}, one_layer(weight, bias), task_of(x, labels), 3)
    accuracy, found_loss = values["sharpness.accuracy"], values["sharpness.loss"]
    assert (values["sharpness.accuracy_without"], values["sharpness.examples"]) == (1.0, 3)
    assert accuracy.shape == found_loss.shape == (sharpness.DRAWS, len(sharpness.SIGMAS))
    seen = set()
    for draw in range(sharpness.DRAWS):
        noise = {
            name: torch.randn(shape, generator=stream(3, "sharpness", draw, f"blocks.0.{name}")).numpy()
            for name, shape in (("weight", (2, 2)), ("bias", (2,)))
        }
        for number, sigma in enumerate(sharpness.SIGMAS):
            logits = np.array(x) @ (np.array(weight) + sigma * noise["weight"]).T + bias + sigma * noise["bias"]
            right = np.mean(logits.argmax(1) == labels)
            loss = np.mean(np.log(np.exp(logits).sum(1)) - logits[range(3), labels])
            assert accuracy[draw, number] == pytest.approx(right)
            assert found_loss[draw, number] == pytest.approx(loss, rel=1e-5)
            seen.add(float(right))
    assert len(seen) > 1, "the noise never changed an answer: nothing was tested"


@pytest.mark.parametrize(("examples", "expected"), [(40, 40), (200, 64), (600, 150), (4000, 256)])
def test_the_sample_for_sharpness_is_bounded_and_stratified(examples: int, expected: int) -> None:
    labels = [0] * (examples // 4) + [1] * (examples - examples // 4)
    inputs, chosen = sharpness.sample(task_of([[float(label), 0.0] for label in labels], labels), seed=0)
    assert len(chosen) == expected
    assert inputs[:, 0].tolist() == chosen.tolist()
    assert Counter(chosen.tolist())[0] == round(expected / 4)


def test_the_weights_come_back_to_the_bit_even_where_measuring_fails() -> None:
    class Fragile(nn.Linear):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            if self.calls == 5:
                raise RuntimeError("out of memory")
            return super().forward(x)

    net = BlockNet([Fragile(2, 2)], nn.Identity())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    values, failures = diagnose({"sharpness": sharpness.measure}, net, task_of([[1.0, 2.0]], [1]), 0)
    assert (values, failures) == ({}, ["sharpness: RuntimeError: out of memory"])
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def two_layers() -> BlockNet:
    """Block 1 passes its inputs on, with dropout; the head's kernel is all 2, of Frobenius norm sqrt(24)."""
    block = nn.Sequential(dense(IDENTITY, [0.0, 0.0]), Dropout(0.5))
    return BlockNet([block], dense([[2.0, 2.0]] * 3, [7.0, 8.0, 9.0]))


def test_the_size_is_the_norm_of_the_heads_input_times_that_of_its_kernel() -> None:
    task = task_of([[3.0, 4.0], [0.0, 12.0]], [0, 2])
    values, _ = diagnose({"weights": weights.measure}, two_layers(), task, 0)
    assert values["weights.activations"] == pytest.approx(13.0)  # sqrt(9 + 16 + 144): biases are no part of it
    assert values["weights.head"] == pytest.approx(math.sqrt(24))
    assert values["weights.size"] == pytest.approx(13.0 * math.sqrt(24))


def test_the_size_sees_lambda_layers_and_at_most_256_examples() -> None:
    net = two_layers()
    net.lambda_of(1).fill(torch.tensor(1.0), torch.tensor(2.0))  # (3, 5) becomes (1, 2)
    values, _ = diagnose({"weights": weights.measure}, net, task_of([[3.0, 5.0]] * 300, [0] * 299 + [2]), 0)
    assert values["weights.examples"] == 256
    assert values["weights.activations"] == pytest.approx(math.sqrt(256 * 5))
