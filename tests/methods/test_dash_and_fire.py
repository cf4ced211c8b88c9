"""DASH's cosines and FIRE's orthogonal slices; both are held to the authors' code elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bits import bit_equal, changed_names, copy_state
from fake_training import FakeRun
from torch import Tensor, nn

from reinit_bench.core.randomness import stream
from reinit_bench.methods.base import begin_round
from reinit_bench.methods.dash import Dash, cosine
from reinit_bench.methods.fire import Fire, isometry
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.layers import sequence


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


@pytest.mark.parametrize(
    "shape", [(64, 8), (8, 64), (10, 120), (40, 6, 3, 3), (5, 60, 3, 3), (16, 2, 1, 1), (20, 4, 5)]
)
def test_every_slice_has_singular_values_at_the_scale(shape: tuple[int, ...]) -> None:
    found = isometry(torch.randn(shape, generator=stream(0, "kernel")), 10)
    assert found.shape == shape
    window = math.prod(shape[2:])
    scale = math.sqrt(shape[0] / shape[1]) / window
    for slice_ in found.reshape(*shape[:2], window).double().numpy().transpose(2, 0, 1):
        np.testing.assert_allclose(np.linalg.svd(slice_, compute_uv=False), scale, rtol=1e-3)


def test_a_slice_of_zeros_stays_and_harms_no_other() -> None:
    kernel = torch.randn(4, 3, 1, 2, generator=stream(0, "kernel"))
    kernel[..., 1] = 0.0
    found = isometry(kernel, 10)
    assert not found[..., 1].any()
    assert bit_equal(found[..., 0], isometry(kernel, 10)[..., 0])
    assert torch.isfinite(found).all()


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.dense = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(self.attention(x, x, x)[0])


@pytest.mark.parametrize("scope", ["auto", "all"])
def test_of_attention_only_queries_and_keys(scope: str) -> None:
    run = FakeRun()
    run.net = BlockNet([Attention()], sequence(head=nn.Linear(4, 3)))
    run.initial, before = {}, {name: value.detach().clone() for name, value in run.parameters.items()}
    begin_round(Fire(scope=scope), run.net, run.context(2))
    fused = run.parameters["blocks.0.attention.in_proj_weight"].detach()
    for index, part in enumerate(fused.chunk(3)):
        old = before["blocks.0.attention.in_proj_weight"].chunk(3)[index]
        assert bit_equal(part, old) == (scope == "auto" and index == 2)
        if index < 2:
            assert bit_equal(part, isometry(old, 10))
    for name in ("blocks.0.dense.weight", "blocks.0.attention.out_proj.weight", "top.head.weight"):
        assert bit_equal(run.parameters[name].detach(), before[name]) == (scope == "auto"), name
