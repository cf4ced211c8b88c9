"""Every kind of norm gives what torch.nn.GroupNorm gives: values and all three gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from reinit_bench.kernels import norm
from reinit_bench.kernels.library import PANEL
from reinit_bench.kernels.norm import has_triton, uses_compiled
from reinit_bench.models.layers import Norm

SHAPES = [
    (2, 3, 5, 7),
    (3, 8, 1, 1),
    (1, 1, 9, 4),
    (2, 33, 11, 3),
    (2, 130, 8, 9),
    (3, 16, 5, 3),
    (2, 48, 1, 1),
    (2, 32, 40, 9),
]
EPSILON = 1e-3
CPU = torch.device("cpu")
DEVICES = dict.fromkeys(("plain", "triton"), torch.device("cuda") if torch.cuda.is_available() else CPU) | {"cpu": CPU}
"""Where each kind of norm is tested; without a GPU, Triton's kernels run in its interpreter (see conftest)."""


@pytest.fixture(params=["plain", "cpu", "triton"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the norm is computed."""
    if request.param == "triton" and not has_triton():
        pytest.skip("Triton is not installed")
    if request.param == "cpu":
        request.getfixturevalue("compiled_layers")
        monkeypatch.setattr(norm, "_MANY_VALUES", 0)
    monkeypatch.setattr(norm, "uses_triton", lambda x: request.param == "triton")
    return request.param


def channels_for(kind: str, channels: int) -> int:
    """So many channels, rounded up to a multiple of 16 for the compiled norm, which takes no other number."""
    return -(-channels // PANEL) * PANEL if kind == "cpu" else channels


def images(kind: str, shape: tuple[int, ...], mean: float = 0.0, scale: float = 1.0) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * scale + mean
    return x.to(DEVICES[kind], memory_format=torch.channels_last)


def gradients(layer: nn.Module, x: Tensor, towards: Tensor) -> dict[str, Tensor]:
    """The output, and the gradients of its product with `towards`."""
    x = x.detach().requires_grad_()
    layer.zero_grad()
    y = layer(x)
    (y.float() * towards).sum().backward()
    found = {name: value.grad for name, value in (("input", x), *layer.named_parameters())}
    return {"output": y.detach(), **{name: grad.detach() for name, grad in found.items() if grad is not None}}


def pair(kind: str, channels: int, *, relu: bool) -> tuple[Norm, nn.Module]:
    """Ours and torch's, with the same random scale (some of it negative) and shift."""
    ours = Norm(channels, EPSILON, relu=relu)
    reference: nn.Module = nn.GroupNorm(1, channels, eps=EPSILON)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in reference.named_parameters():
            value.copy_(torch.randn(channels, generator=generator))
            ours.get_parameter(name).copy_(value)
    reference = nn.Sequential(reference, nn.ReLU()) if relu else reference
    return ours.to(DEVICES[kind]), reference.to(DEVICES[kind])


def compare(kind: str, x: Tensor, *, relu: bool) -> None:
    """Assert that our output and gradients are torch's."""
    ours, reference = pair(kind, x.shape[1], relu=relu)
    towards = torch.randn(x.shape, generator=torch.Generator().manual_seed(2)).to(x.device)
    assert uses_compiled(x, ours.weight) == (kind == "cpu" and x.shape[1] % PANEL == 0)
    found = gradients(ours, x, towards)
    expected = gradients(reference, x, towards)
    assert found["output"].is_contiguous(memory_format=torch.channels_last)
    assert len(found) == len(expected) == 4
    for name, value in expected.items():
        own = found[name.removeprefix("0.")]
        scale = float(value.abs().max()) + 1e-6
        torch.testing.assert_close(own / scale, value.to(own.dtype) / scale, rtol=1e-5, atol=3e-6, msg=name)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_kind_is_group_norm_with_one_group(kind: str, shape: tuple[int, ...], relu: bool) -> None:
    compare(kind, images(kind, shape, 0.5, 3.0), relu=relu)


@pytest.mark.parametrize(("mean", "kind"), [(30.0, "plain"), (1000.0, "cpu"), (1000.0, "triton")], indirect=["kind"])
def test_large_means_lose_no_precision(mean: float, kind: str) -> None:
    """Compared with fp64. torch's own norm loses precision with large means of channels-last images on the CPU."""
    channels = channels_for(kind, 33)
    x = images(kind, (2, channels, 11, 3), mean)
    ours, _ = pair(kind, channels, relu=False)
    with torch.no_grad():
        expected = torch.nn.functional.group_norm(x.double(), 1, *(p.double() for p in ours.parameters()), EPSILON)
        assert (ours(x) - expected).abs().max() < 1e-3


@pytest.mark.parametrize("kind", ["triton"], indirect=True)
def test_triton_takes_parts_of_several_tiles(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The maximum number of parts, each of two tiles, the last one incomplete."""
    monkeypatch.setattr("reinit_bench.kernels.norm_triton._TILE", 64)
    compare(kind, images(kind, (1, 3, 29, 31), -1.0), relu=True)


def test_constant_images_give_the_shift(kind: str) -> None:
    channels = channels_for(kind, 4)
    ours, _ = pair(kind, channels, relu=False)
    y = ours(torch.full((2, channels, 3, 3), 7.0, device=DEVICES[kind]).to(memory_format=torch.channels_last))
    torch.testing.assert_close(y, ours.bias.detach().view(1, channels, 1, 1).expand(2, channels, 3, 3))


def test_without_an_input_gradient_the_others_are_the_same(kind: str) -> None:
    channels = channels_for(kind, 5)
    ours, _ = pair(kind, channels, relu=True)
    x = images(kind, (3, channels, 4, 4))
    ours(x).square().sum().backward()
    assert ours.weight.grad is not None
    alone = ours.weight.grad.clone()
    ours.zero_grad()
    ours(x.detach().requires_grad_()).square().sum().backward()
    assert torch.equal(ours.weight.grad, alone)


@pytest.mark.parametrize("kind", ["triton"], indirect=True)
def test_a_bf16_image_has_fp32_statistics(kind: str) -> None:
    """The other kinds get fp32 under autocast."""
    ours, _ = pair(kind, 33, relu=False)
    x = images(kind, (2, 33, 11, 3), 20.0).bfloat16()
    y = ours(x)
    assert y.dtype == torch.bfloat16
    expected = torch.nn.functional.group_norm(x.float(), 1, *ours.parameters(), EPSILON)
    assert torch.equal(y, expected.bfloat16()) or (y - expected).abs().max() <= 2**-7 * expected.abs().max()


@pytest.mark.parametrize("kind", ["cpu"], indirect=True)
def test_compiled_norms_do_not_depend_on_the_number_of_threads(kind: str) -> None:
    before = torch.get_num_threads()
    ours, _ = pair(kind, 32, relu=True)
    x, towards = images(kind, (5, 32, 7, 3)), torch.ones(5, 32, 7, 3)
    torch.set_num_threads(1)
    alone = gradients(ours, x, towards)
    torch.set_num_threads(3)
    shared = gradients(ours, x, towards)
    torch.set_num_threads(before)
    assert all(torch.equal(alone[name], shared[name]) for name in alone)


def test_nan_propagates(kind: str) -> None:
    """A run that diverges must be seen to diverge; other images are not affected."""
    ours, _ = pair(kind, 16, relu=True)
    x = images(kind, (2, 16, 3, 3))
    x[0, 3, 1, 1] = torch.nan
    y = ours(x)
    assert y[0].isnan().all()
    assert not y[1].isnan().any()


@pytest.mark.parametrize("kind", ["cpu"], indirect=True)
def test_compiled_norms_take_channels_last_images_in_fp32_only(kind: str) -> None:
    x, weight = images(kind, (2, 16, 4, 5)), torch.ones(16)
    assert uses_compiled(x, weight)
    assert not uses_compiled(x.contiguous(), weight)
    assert not uses_compiled(torch.zeros(2, 16), weight)
    assert not uses_compiled(x.double(), weight.double())
    assert not uses_compiled(images(kind, (2, 17, 4, 5)), torch.ones(17))


def test_compiled_norms_are_used_for_large_batches_only(compiled_layers: object) -> None:
    weight = torch.ones(32)
    assert not uses_compiled(images("cpu", (2, 32, 4, 4)), weight)
    assert uses_compiled(images("cpu", (256, 32, 6, 6)), weight)


def test_names_and_type_are_those_of_group_norm() -> None:
    layer = Norm(3, EPSILON, relu=True)
    assert isinstance(layer, nn.GroupNorm)
    assert list(layer.state_dict()) == ["weight", "bias"]
