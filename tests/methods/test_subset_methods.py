"""WELSR, WELS, DSD and SNIP: which elements are redrawn, to the element, and from which stream."""

from __future__ import annotations

import itertools

import pytest
import torch
from bits import bit_equal
from fake_training import FakeRun
from torch import Tensor

from reinit_bench.core.randomness import stream
from reinit_bench.methods.dsd import Dsd
from reinit_bench.methods.snip import Snip
from reinit_bench.methods.subset import SubsetMethod, share
from reinit_bench.methods.wels import Wels
from reinit_bench.methods.welsr import Welsr
from reinit_bench.models.parameters import kernel_names

every_method = pytest.mark.parametrize("kind", [Wels, Welsr, Dsd])
both_random = pytest.mark.parametrize("kind", [Wels, Welsr])


def assert_equation_one(run: FakeRun, before: dict[str, Tensor], mask: dict[str, Tensor], index: int) -> None:
    """Every element is its eta where the mask says so and unchanged everywhere else; lambdas are unchanged."""
    for name, now in run.net.state_dict().items():
        if name in mask:
            assert torch.equal(now, torch.where(mask[name], run.eta(name, index), before[name])), name
        else:
            assert bit_equal(now, before[name]), name


@every_method
@pytest.mark.parametrize("model", ["scnn", "mlp"])
def test_a_fifth_of_each_kernel_is_redrawn_and_nothing_else_moves(kind: type[SubsetMethod], model: str) -> None:
    run = FakeRun(model)
    for index in (2, 3, 4):
        run.train()
        before, mask = run.begin(kind(), index)
        assert tuple(mask) == kernel_names(run.net)
        for name, chosen in mask.items():
            assert int(chosen.sum()) == chosen.numel() * 2 // 10, name
            assert torch.equal(run.parameters[name] != before[name], chosen), name
        assert_equation_one(run, before, dict(mask), index)


@every_method
def test_scope_all_reaches_biases_and_norms(kind: type[SubsetMethod]) -> None:
    run = FakeRun()
    run.train()
    before, mask = run.begin(kind(fraction=0.5, scope="all"), 2)
    assert tuple(mask) == tuple(run.parameters)
    for name, chosen in mask.items():
        assert int(chosen.sum()) == chosen.numel() // 2, name
    assert_equation_one(run, before, dict(mask), 2)
    scale, chosen = run.parameters["top.hidden.norm.weight"], mask["top.hidden.norm.weight"]
    assert set(scale[chosen].tolist()) == {1.0}
    assert 1.0 not in scale[~chosen].tolist()


@every_method
@pytest.mark.parametrize("scope", ["kernels", "all"])
def test_selection_network_takes_its_share_of_all_tensors_together(kind: type[SubsetMethod], scope: str) -> None:
    run = FakeRun()
    run.train()
    before, mask = run.begin(kind(selection="network", scope=scope), 2)
    sizes = {name: chosen.numel() for name, chosen in mask.items()}
    counts = {name: int(chosen.sum()) for name, chosen in mask.items()}
    assert sum(counts.values()) == sum(sizes.values()) * 2 // 10
    assert counts != {name: size * 2 // 10 for name, size in sizes.items()}, "as if it were taken of each tensor"
    assert_equation_one(run, before, dict(mask), 2)


@both_random
def test_positions_come_from_the_named_streams(kind: type[SubsetMethod]) -> None:
    run, index = FakeRun(seed=3), 2
    purpose = ("fixed mask",) if kind is Wels else ("mask", index)
    _, mask = run.begin(kind(), index)
    for name, chosen in mask.items():
        order = torch.randperm(chosen.numel(), generator=stream(3, *purpose, name))
        assert sorted(order[: chosen.numel() * 2 // 10].tolist()) == chosen.flatten().nonzero().flatten().tolist()
    _, mask = run.begin(kind(selection="network"), index)
    together = torch.cat([chosen.flatten() for chosen in mask.values()])
    order = torch.randperm(together.numel(), generator=stream(3, *purpose, "network"))
    assert sorted(order[: together.numel() // 5].tolist()) == together.nonzero().flatten().tolist()
    _, mask = run.begin(kind(selection="bernoulli"), index)
    for name, chosen in mask.items():
        assert torch.equal(chosen, torch.rand(chosen.shape, generator=stream(3, *purpose, name)) < 0.2)


def masks(kind: type[SubsetMethod], seed: int, rounds: tuple[int, ...], selection: str) -> list[list[bool]]:
    """The mask of each round, all tensors in one list; the network trains in between."""
    run, found = FakeRun(seed=seed), []
    for index in rounds:
        run.train()
        _, mask = run.begin(kind(selection=selection), index)
        found.append(torch.cat([chosen.flatten() for chosen in mask.values()]).tolist())
    return found


@pytest.mark.parametrize("selection", ["tensor", "network", "bernoulli"])
def test_wels_keeps_its_mask_and_welsr_draws_a_new_one_each_round(selection: str) -> None:
    second, third, fourth = masks(Wels, 0, (2, 3, 4), selection)
    assert second == third == fourth
    for one, other in itertools.combinations(masks(Welsr, 0, (2, 3, 4), selection), 2):
        assert one != other


@pytest.mark.parametrize(
    ("fraction", "size", "count"),
    [
        (0.29, 100, 29),  # in binary 28.999999999999996
        (0.57, 100, 57),
        (0.2, 4, 0),
        (0.2, 9, 1),
        (0.2, 102_760_448, 20_552_089),  # the largest kernel of vgg16
        (0.7, 10, 7),
        (1.0, 7, 7),
        (1e-5, 100_000, 1),
        (1e-5, 99_999, 0),
    ],
)
def test_a_share_is_exact_in_decimal(fraction: float, size: int, count: int) -> None:
    assert share(fraction, size) == count


def smallest(values: list[float], count: int) -> list[bool]:
    """The `count` smallest magnitudes by sorting in Python; ties go to the earlier position."""
    order = sorted(range(len(values)), key=lambda position: (abs(values[position]), position))
    return [position in set(order[:count]) for position in range(len(values))]


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
