"""DSD: the smallest magnitudes, found by brute force."""

from __future__ import annotations

import pytest
import torch
from bits import bit_equal
from fake_training import FakeRun
from torch import Tensor

from reinit_bench.methods.dsd import Dsd
from reinit_bench.models.parameters import kernel_names


def smallest(values: list[float], count: int) -> list[bool]:
    """The `count` smallest magnitudes by sorting in Python; ties go to the earlier position."""
    order = sorted(range(len(values)), key=lambda position: (abs(values[position]), position))
    return [position in set(order[:count]) for position in range(len(values))]


def flat(tensors: dict[str, Tensor], names: tuple[str, ...]) -> list[float]:
    return torch.cat([tensors[name].flatten() for name in names]).tolist()


@pytest.mark.parametrize("model", ["scnn", "mlp"])
def test_the_mask_is_the_smallest_fifth_of_each_kernel_found_anew_each_round(model: str) -> None:
    run, found = FakeRun(model), []
    for index in (2, 3):
        run.train()
        before, mask = run.begin(Dsd(), index)
        for name, chosen in mask.items():
            values = before[name].flatten().tolist()
            assert chosen.flatten().tolist() == smallest(values, len(values) * 2 // 10), name
        found.append(torch.cat([chosen.flatten() for chosen in mask.values()]).tolist())
    assert found[0] != found[1]


@pytest.mark.parametrize("scope", ["kernels", "all"])
def test_selection_network_ranks_all_tensors_together(scope: str) -> None:
    run = FakeRun()
    run.train()
    before, mask = run.begin(Dsd(selection="network", scope=scope), 2)
    names = kernel_names(run.net) if scope == "kernels" else tuple(run.parameters)
    values = flat(before, names)
    assert [bool(x) for x in flat(dict(mask), names)] == smallest(values, len(values) * 2 // 10)


def test_of_equal_magnitudes_the_earlier_position_goes_first() -> None:
    run, name = FakeRun(), "top.hidden.dense.weight"
    with torch.no_grad():
        kernel = run.parameters[name]
        # Three magnitudes with both signs, the smallest on a tenth of the positions: the rest of the fifth are ties.
        kernel.copy_(torch.where(kernel < 0, -1.0, 1.0) * (1 + torch.arange(kernel.numel()) % 2).reshape(kernel.shape))
        kernel.view(-1)[::10] = -0.5
    before, mask = run.begin(Dsd(), 2)
    values = before[name].flatten().tolist()
    assert mask[name].flatten().tolist() == smallest(values, len(values) // 5)
    with torch.no_grad():
        run.parameters[name].fill_(0.25)
    _, mask = run.begin(Dsd(), 3)
    assert mask[name].flatten().nonzero().flatten().tolist() == list(range(len(values) // 5))


def test_fill_zeros_leaves_zeros_where_the_smallest_were() -> None:
    run = FakeRun()
    run.train()
    before, mask = run.begin(Dsd(fill="zeros", scope="all"), 2)
    assert set(mask) == set(run.parameters)
    for name, chosen in mask.items():
        assert bit_equal(run.parameters[name].detach(), torch.where(chosen, 0.0, before[name])), name
        assert int((run.parameters[name] == 0).sum()) == chosen.numel() // 5, name
