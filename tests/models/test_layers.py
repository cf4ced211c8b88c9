from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from reinit_bench.core.settings import ConfigError
from reinit_bench.models.layers import (
    Architecture,
    BatchNorm,
    Norm,
    Norms,
    SamePool,
    conv,
    conv_norm_relu,
)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 7)])
def test_norm_is_over_all_of_an_example_with_scale_and_shift_per_channel(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 3 + 2
    layer = Norm(shape[1], 0.5)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(1.0, shape[1] + 1))
        layer.bias.copy_(torch.arange(shape[1]) * 10.0)
    for example, normalized in zip(x, layer(x), strict=True):
        per_channel = [-1] + [1] * (len(shape) - 2)
        expected = (example - example.mean()) / (example.var(unbiased=False) + 0.5).sqrt()
        expected = expected * layer.weight.view(per_channel) + layer.bias.view(per_channel)
        torch.testing.assert_close(normalized, expected)


@pytest.mark.parametrize("shape", [(6, 3, 2, 4), (6, 3), (1, 3, 2, 4)])
@pytest.mark.parametrize("relu", [True, False])
def test_batch_norm_is_torchs_in_training_and_evaluation(shape: tuple[int, ...], relu: bool) -> None:
    ours = BatchNorm(3, 1e-3, relu=relu)
    theirs = (torch.nn.BatchNorm2d if len(shape) == 4 else torch.nn.BatchNorm1d)(3, eps=1e-3)
    activation = torch.relu if relu else lambda x: x
    for seed in range(3):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 3 + 2
        assert torch.equal(ours(x), activation(theirs(x)))
    ours.eval()
    theirs.eval()
    assert torch.equal(ours(x), activation(theirs(x)))
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in ours.state_dict().items())


def test_a_batch_of_one_vector_is_normalized_with_the_running_statistics() -> None:
    layer, x = BatchNorm(3, 1e-3), torch.tensor([[1.0, -2.0, 5.0]])
    layer(torch.randn(8, 3, generator=torch.Generator().manual_seed(0)) + 4)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    found = layer(x)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    torch.testing.assert_close(found, (x - before["running_mean"]) / (before["running_var"] + 1e-3).sqrt())


@pytest.mark.parametrize(
    ("width", "expected"), [(1.0, [32, 3, 1]), (0.5, [16, 2, 1]), (0.01, [1, 1, 1]), (1.5, [48, 5, 2]), (2, [64, 6, 2])]
)
def test_width_rounds_half_up_and_keeps_one(width: float, expected: list[int]) -> None:
    assert [Architecture(width=width).channels(n) for n in (32, 3, 1)] == expected


@pytest.mark.parametrize("width", [0, -1.0, float("nan"), float("inf"), "1", True, None])
def test_width_must_be_a_number_above_zero(width: object) -> None:
    with pytest.raises(ConfigError, match=r"^model\.width must be a number above 0; got"):
        Architecture(width=width)


@pytest.mark.parametrize(
    ("window", "pixels", "sides"),
    [
        (3, 4, (0, 1)),
        (3, 5, (1, 1)),
        (3, 2, (0, 1)),
        (3, 1, (1, 1)),
        (7, 8, (2, 3)),
        (7, 9, (3, 3)),
        (1, 8, (0, 0)),
        (1, 9, (0, 0)),
    ],
)
@pytest.mark.parametrize("groups", [1, 2])
def test_same_padding_is_tensorflows(window: int, pixels: int, sides: tuple[int, int], groups: int) -> None:
    """Its rule: (ceil(n / stride) - 1) * stride + window - n pixels in all, the odd one at the end."""
    layer = conv(2, 2, window, stride=2, groups=groups, padding="same")
    x = torch.randn(3, 2, pixels, pixels, generator=torch.Generator().manual_seed(0))
    expected = F.conv2d(F.pad(x, sides * 2), layer.weight, stride=2, groups=groups)
    assert expected.shape[2:] == (-(-pixels // 2),) * 2
    torch.testing.assert_close(layer(x), expected)


@torch.no_grad()
def test_same_pooling_takes_no_maximum_outside_the_image() -> None:
    x = -1 - torch.arange(16.0).reshape(1, 1, 4, 4)
    assert SamePool(3, 2)(x).tolist() == [[[[-1, -3], [-9, -11]]]]
    odd = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(SamePool(3, 2)(odd), F.max_pool2d(odd, 3, 2, 1))


@pytest.mark.parametrize(
    ("kind", "chosen", "expected"),
    [
        ("group", None, (False, True)),
        ("group", True, (True, True)),
        ("batch", False, (False, False)),
        ("none", None, (True, True)),
        ("none", True, (True, True)),
    ],
)
def test_a_convolution_has_a_bias_as_chosen_as_usual_or_without_a_norm(
    kind: str, chosen: bool | None, expected: tuple[bool, bool]
) -> None:
    norms = Norms(kind, 1e-3, chosen)
    blocks = [conv_norm_relu(3, 4, 3, norms, bias=usual) for usual in (False, True)]
    assert tuple(block.conv.bias is not None for block in blocks) == expected
    assert (type(blocks[0][-1]).__name__ == "ReLU") == (kind == "none"), "without a norm, its ReLU stays"
