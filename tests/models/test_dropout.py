from __future__ import annotations

import pytest
import torch

from reinit_bench.models.blocknet import Dropout


def layer_with_seed(rate: float, seed: int) -> Dropout:
    layer = Dropout(rate)
    layer.generator = torch.Generator().manual_seed(seed)
    return layer


@pytest.mark.parametrize("rate", [0.25, 0.5])
def test_kept_values_are_scaled_and_the_rate_is_met(rate: float) -> None:
    output = layer_with_seed(rate, 0)(torch.full((1000, 100), 3.0))
    assert set(output.unique().tolist()) == {0.0, 3.0 / (1.0 - rate)}
    assert (output == 0).float().mean().item() == pytest.approx(rate, abs=0.005)


def test_the_generator_alone_decides_the_mask() -> None:
    x = torch.ones(64, 64)
    first = layer_with_seed(0.5, 1)
    torch.manual_seed(1)
    masks = [first(x), first(x)]
    torch.manual_seed(2)
    again = layer_with_seed(0.5, 1)
    assert torch.equal(again(x), masks[0])
    assert torch.equal(again(x), masks[1])
    assert not torch.equal(masks[0], masks[1])
    assert not torch.equal(layer_with_seed(0.5, 2)(x), masks[0])


def test_the_gradient_passes_where_the_value_passed() -> None:
    x = torch.ones(8, 8, requires_grad=True)
    output = layer_with_seed(0.25, 0)(x)
    output.sum().backward()
    assert torch.equal(x.grad, output.detach())


def test_evaluation_and_rate_zero_give_the_input_itself() -> None:
    x = torch.ones(2, 2)
    assert layer_with_seed(0.5, 0).eval()(x) is x
    assert layer_with_seed(0.0, 0)(x) is x
