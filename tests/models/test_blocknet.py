from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from reinit_bench.models.blocknet import BlockNet, Dropout, Lambda
from reinit_bench.models.parameters import is_kernel, kernel_names
from reinit_bench.models.scnn import Scnn


class Times(nn.Module):
    """A block whose output is easy to follow."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def scalars(*values: float) -> list[Tensor]:
    return [torch.tensor(value) for value in values]


def bits(x: Tensor) -> list[int]:
    return x.view(torch.int32).flatten().tolist()


@pytest.mark.parametrize(
    ("mean", "std"), [(0.0, 0.0), (0.0, -1.0), (0.0, float("nan")), (float("inf"), 1.0), (0.0, float("inf"))]
)
def test_statistics_that_cannot_normalize_are_refused_and_change_nothing(mean: float, std: float) -> None:
    slot = Lambda()
    with pytest.raises(ValueError, match="a lambda layer needs a finite mean and a positive std; got"):
        slot.fill(*scalars(mean, std))
    assert (slot.mean.item(), slot.std.item()) == (0.0, 1.0)


def test_lambdas_train_nothing_and_travel_in_the_state_dict() -> None:
    empty, net, twin = (BlockNet([Times(2.0), Times(3.0)], Times(10.0)) for _ in range(3))
    assert [name for name, _ in net.named_parameters() if "lambdas" in name] == []
    net.lambda_of(1).fill(*scalars(1.0, 4.0))
    x = torch.tensor(6.5)
    # ((2 * 6.5 - 1) / 4) * 3 * 10 with the lambda, 6.5 * 2 * 3 * 10 without.
    for source, expected in ((net, 90.0), (empty, 390.0), (net, 90.0)):
        twin.load_state_dict(source.state_dict())
        assert twin(x).item() == copy.deepcopy(twin)(x).item() == expected


def test_kernels_are_neither_biases_nor_norms(meta) -> None:
    net = meta(Scnn(), (3, 8, 8))
    kernels = kernel_names(net)
    assert kernels == (*(f"blocks.{k}.conv.weight" for k in range(4)), "top.hidden.dense.weight", "top.head.weight")
    assert kernel_names(net, net.names_in_top()) == kernels[4:]
    shapes = [(), (3,), (3, 2), (3, 1, 3, 3)]
    assert [is_kernel("layer.weight", torch.zeros(shape)) for shape in shapes] == [False, False, True, True]
    assert not is_kernel("encoder.pos_embedding", torch.zeros(1, 3, 2))


@pytest.mark.parametrize("rate", [0.25, 0.5])
def test_dropout_scales_what_it_keeps_and_meets_its_rate(rate: float) -> None:
    layer = Dropout(rate)
    layer.generator = torch.Generator().manual_seed(0)
    x = torch.full((1000, 100), 3.0, requires_grad=True)
    output = layer(x)
    assert set(output.unique().tolist()) == {0.0, 3.0 / (1.0 - rate)}
    assert (output == 0).float().mean().item() == pytest.approx(rate, abs=0.005)
    output.sum().backward()
    torch.testing.assert_close(x.grad, output.detach() / 3.0)
    assert layer.eval()(x) is x
    assert Dropout(0.0)(x) is x
