"""The compiled convolutions give torch's values and gradients, with any number of threads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from reinit_bench.kernels import convolution_cpu
from reinit_bench.kernels import library as compiled
from reinit_bench.models.layers import Conv

pytestmark = pytest.mark.usefixtures("compiled_layers")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return values.to(memory_format=torch.channels_last) if len(shape) == 4 else values


def gradients(y: Tensor, *of: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(y, of, drawn(*y.shape, seed=9).to(y.dtype)))


def own(x: Tensor, weight: Tensor, bias: Tensor | None) -> list[Tensor]:
    leaves = [value.detach().requires_grad_() for value in (x, weight, bias) if value is not None]
    y = convolution_cpu.convolution(leaves[0], leaves[1], leaves[2] if bias is not None else None)
    return [y.detach(), *gradients(y, *leaves)]


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 2), (3, 5), (4, 4), (7, 6), (16, 16)])
@pytest.mark.parametrize(("inputs", "outputs"), [(16, 16), (32, 64), (48, 16), (160, 320)])
@pytest.mark.parametrize("biased", [True, False])
def test_values_and_gradients(size: tuple[int, int], inputs: int, outputs: int, biased: bool) -> None:
    """Compared with double precision: the error is a few single-precision units of the largest value."""
    x, weight = drawn(5, inputs, *size), drawn(outputs, inputs, 3, 3, seed=1) / (3 * inputs**0.5)
    bias = drawn(outputs, seed=2) if biased else None
    exact = [value.detach().double().requires_grad_() for value in (x, weight, bias) if value is not None]
    y = functional.conv2d(*exact, padding=1)
    for found, expected in zip(own(x, weight, bias), [y.detach(), *gradients(y, *exact)], strict=True):
        assert found.dtype is torch.float32
        error = (found.double() - expected).abs().max() / expected.abs().max()
        assert error < 3e-6


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_results_do_not_depend_on_the_number_of_threads(count: int) -> None:
    x, weight, bias = drawn(7, 64, 9, 9), drawn(48, 64, 3, 3, seed=1), drawn(48, seed=2)
    torch.set_num_threads(1)
    alone = own(x, weight, bias)
    torch.set_num_threads(count)
    for found, expected in zip(own(x, weight, bias), alone, strict=True):
        assert torch.equal(found, expected)


def test_an_image_does_not_depend_on_the_rest_of_its_batch() -> None:
    x, weight = drawn(7, 32, 5, 5), drawn(32, 32, 3, 3, seed=1)
    together = convolution_cpu.convolution(x, weight, None)
    for first, end in ((0, 1), (1, 4), (6, 7)):
        assert torch.equal(convolution_cpu.convolution(x[first:end], weight, None), together[first:end])


def test_any_memory_layout_is_accepted_and_channels_last_returned() -> None:
    x, weight = drawn(2, 32, 6, 6), drawn(32, 32, 3, 3, seed=1)
    expected = convolution_cpu.convolution(x, weight, None)
    assert expected.is_contiguous(memory_format=torch.channels_last)
    wide = torch.cat([x, x], 3)
    for other in (x.contiguous(), wide[..., :6]):
        assert torch.equal(convolution_cpu.convolution(other, weight.contiguous(), None), expected)


def test_only_required_gradients_are_computed() -> None:
    x, weight, bias = drawn(2, 32, 6, 6), drawn(32, 32, 3, 3, seed=1), drawn(32, seed=2)
    whole = own(x, weight, bias)
    for asked in ((True, False, False), (False, True, False), (False, False, True), (False, True, True)):
        leaves = [value.detach().requires_grad_(wanted) for value, wanted in zip((x, weight, bias), asked, strict=True)]
        y = convolution_cpu.convolution(leaves[0], leaves[1], leaves[2])
        y.backward(drawn(*y.shape, seed=9))
        for leaf, expected, wanted in zip(leaves, whole[1:], asked, strict=True):
            assert (leaf.grad is not None) is wanted
            if leaf.grad is not None:
                assert torch.equal(leaf.grad, expected)
    with torch.no_grad():
        assert not convolution_cpu.convolution(x, weight.requires_grad_(), bias).requires_grad


def test_nan_propagates() -> None:
    """A run that diverges must be seen to diverge."""
    x, weight = drawn(1, 32, 4, 4), drawn(32, 32, 3, 3, seed=1)
    x[0, 5, 1, 1] = torch.nan
    _, dx, dw = own(x, weight, None)
    assert dw[:, 5].isnan().all()
    assert not dx.isnan().any()
    assert convolution_cpu.convolution(x, weight, None)[0, :, :3, :3].isnan().all()


def test_which_convolutions_are_compiled() -> None:
    weight = torch.zeros(32, 32, 3, 3)
    serves = convolution_cpu.serves
    assert serves(torch.zeros(32, 32, 4, 4), weight)
    assert not serves(torch.zeros(31, 32, 4, 4), weight)
    assert not serves(torch.zeros(256, 32, 3, 4), weight)
    assert not serves(torch.zeros(32, 16, 4, 4), torch.zeros(32, 16, 3, 3))
    assert not serves(torch.zeros(32, 40, 4, 4), torch.zeros(32, 40, 3, 3))
    assert not serves(torch.zeros(32, 32, 4, 4).double(), weight.double())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not serves(torch.zeros(32, 32, 4, 4), weight)
    with FakeTensorMode() as mode:
        assert not serves(mode.from_tensor(torch.zeros(32, 32, 4, 4)), mode.from_tensor(weight))


def test_a_layer_uses_the_compiled_convolution_where_it_applies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere, and if nothing was compiled, it uses torch's."""
    x = drawn(32, 32, 4, 4)
    same = Conv(32, 32, 3, padding=1)
    taken = convolution_cpu.convolution(x, same.weight, same.bias)
    library = functional.conv2d(x, same.weight, same.bias, padding=1)
    assert not torch.equal(taken, library), "the two must differ for this test to mean anything"
    assert torch.equal(same(x), taken)
    for other in (Conv(32, 32, 3, padding=1, stride=2), Conv(32, 32, 3, padding=1, groups=2), Conv(32, 32, 3)):
        expected = functional.conv2d(x, other.weight, other.bias, other.stride, other.padding, groups=other.groups)
        assert torch.equal(other(x), expected)
    monkeypatch.setattr(compiled, "library", lambda: None)
    assert torch.equal(same(x), library)
