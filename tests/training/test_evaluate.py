"""Accuracy and loss of one split, computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from training_helpers import make_split, make_task

from reinit_bench.data.task import Task
from reinit_bench.models.blocknet import BlockNet, Dropout
from reinit_bench.training.step import Metrics, evaluate

LOG3 = math.log(3.0)
SURE, UNSURE = -math.log(0.75), -math.log(0.25)


def logits_of(rows: list[tuple[float, float]], labels: list[int]) -> Task:
    """A task whose inputs are the logits of a network that changes nothing, one for each split."""
    test = make_split(torch.tensor(rows), torch.tensor(labels))
    train, validation = make_split(test.stored[:2], test.labels[:2]), make_split(test.stored[2:3], test.labels[2:3])
    return make_task(train, validation, test, classes=2)


ROWS, LABELS = [(LOG3, 0.0), (LOG3, 0.0), (0.0, LOG3), (LOG3, 0.0)], [0, 1, 1, 0]
"""Probabilities of 3/4 and 1/4; the second is wrong."""


@pytest.mark.parametrize(
    ("name", "accuracy", "loss"),
    [("train", 0.5, (SURE + UNSURE) / 2), ("validation", 1.0, SURE), ("test", 0.75, (3 * SURE + UNSURE) / 4)],
)
def test_accuracy_and_loss_of_each_split(name: str, accuracy: float, loss: float) -> None:
    net = BlockNet([nn.Identity()], nn.Identity())
    metrics = evaluate(net, logits_of(ROWS, LABELS), name, "fp32")
    assert metrics == Metrics(accuracy=accuracy, loss=pytest.approx(loss, rel=1e-6))


def test_every_example_counts_once_whatever_the_batch_sizes() -> None:
    """2,500 examples are batches of 1,000, 1,000 and 500; the mean of their means would give 2/3."""
    task = logits_of([(LOG3, 0.0)] * 2500, [0] * 2000 + [1] * 500)
    assert [len(labels) for _, labels in task.batches("test")] == [1000, 1000, 500]
    metrics = evaluate(BlockNet([nn.Identity()], nn.Identity()), task, "test", "fp32")
    assert metrics == Metrics(accuracy=0.8, loss=pytest.approx(0.8 * SURE + 0.2 * UNSURE, rel=1e-6))


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_is_without_dropout_and_restores_the_mode(training: bool) -> None:
    net = BlockNet([Dropout(0.9)], nn.Identity()).train(training)
    metrics = evaluate(net, logits_of(ROWS, LABELS), "test", "fp32")
    assert metrics.loss == pytest.approx((3 * SURE + UNSURE) / 4, rel=1e-6)
    assert [module.training for module in net.modules()] == [training] * len(list(net.modules()))


def test_evaluation_keeps_no_graph_and_changes_no_parameter() -> None:
    layer = nn.Linear(2, 2)
    kept = []
    layer.register_forward_hook(lambda module, inputs, output: kept.append(output.requires_grad))
    before = layer.weight.detach().clone()
    evaluate(BlockNet([layer], nn.Identity()), logits_of(ROWS, LABELS), "test", "fp32")
    assert kept == [False]
    assert layer.weight.grad is None
    assert torch.equal(layer.weight, before)


def test_a_network_that_is_not_finite_has_a_loss_that_is_not() -> None:
    task = logits_of([(float("nan"), 0.0), *ROWS[1:]], LABELS)
    assert math.isnan(evaluate(BlockNet([nn.Identity()], nn.Identity()), task, "test", "fp32").loss)
