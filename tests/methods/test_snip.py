"""SNIP: the very elements that are redrawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bits import copy_state
from fake_training import FakeRun
from torch.nn import functional

from reinit_bench.methods.snip import Snip
from reinit_bench.models.parameters import kernel_names


def saliency(run: FakeRun, count: int) -> dict[str, np.ndarray]:
    """|g w| by hand over the first `count` examples."""
    functional.cross_entropy(run.net.eval()(run.inputs[:count]), run.labels[:count]).backward()
    found = {}
    for name, value in run.parameters.items():
        assert value.grad is not None
        found[name] = np.abs(value.grad.numpy() * value.detach().numpy())
    run.net.zero_grad()
    run.net.train()
    return found


@pytest.mark.parametrize("model", ["scnn", "mlp"])
def test_the_least_salient_fifth_of_all_kernels_is_redrawn(model: str) -> None:
    run = FakeRun(model)
    run.train()
    by_hand, before = saliency(run, 64), copy_state(run.net)
    _, mask = run.begin(Snip(sample_examples=64), 2)
    names = kernel_names(run.net)
    assert tuple(mask) == names
    everything = np.concatenate([by_hand[name].ravel() for name in names])
    chosen = torch.cat([mask[name].flatten() for name in names]).numpy()
    assert chosen.sum() == len(everything) * 2 // 10
    assert everything[chosen].max() <= everything[~chosen].min()
    for name, now in run.parameters.items():
        wanted = torch.where(mask[name], run.eta(name, 2), before[name]) if name in mask else before[name]
        assert torch.equal(now, wanted), name


def test_each_tensor_gives_its_share_if_asked() -> None:
    run = FakeRun()
    run.train()
    _, mask = run.begin(Snip(selection="tensor", scope="all"), 2)
    assert {name: int(chosen.sum()) for name, chosen in mask.items()} == {
        name: value.numel() * 2 // 10 for name, value in run.parameters.items()
    }


def test_elements_without_gradient_come_first_and_ties_by_position() -> None:
    """A dead input: its column of the first kernel has saliency 0, and is redrawn from the start."""
    run = FakeRun("mlp")
    run.inputs[:, 3] = 0.0
    size = sum(run.parameters[name].numel() for name in kernel_names(run.net))
    _, mask = run.begin(Snip(fraction=5.5 / size), 2)
    assert sum(int(chosen.sum()) for chosen in mask.values()) == 5
    assert mask["blocks.0.dense.weight"].nonzero().tolist() == [[row, 3] for row in range(5)]
