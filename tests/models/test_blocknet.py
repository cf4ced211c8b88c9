from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from reinit_bench.models.blocknet import BlockNet, Lambda
from reinit_bench.models.mlp import Mlp
from reinit_bench.models.parameters import is_kernel, kernel_names
from reinit_bench.models.scnn import Scnn
from reinit_bench.models.vgg16 import Vgg16


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_lambda_keeps_the_type_of_its_input(dtype: torch.dtype) -> None:
    slot = Lambda()
    slot.fill(*scalars(1.0, 2.0))
    output = slot(torch.tensor([5.0], dtype=dtype))
    assert output.dtype == dtype
    assert output.tolist() == [2.0]


@pytest.mark.parametrize(
    ("mean", "std"), [(0.0, 0.0), (0.0, -1.0), (0.0, float("nan")), (float("inf"), 1.0), (0.0, float("inf"))]
)
def test_statistics_that_cannot_normalize_are_refused_and_change_nothing(mean: float, std: float) -> None:
    slot = Lambda()
    with pytest.raises(ValueError, match="a lambda layer needs a finite mean and a positive std; got"):
        slot.fill(*scalars(mean, std))
    assert (slot.mean.item(), slot.std.item()) == (0.0, 1.0)


def test_forward_is_block_then_lambda_for_each_block_then_top() -> None:
    net = BlockNet([Times(2.0), Times(3.0)], Times(10.0))
    net.lambda_of(1).fill(*scalars(1.0, 4.0))
    net.lambda_of(2).fill(*scalars(-1.0, 0.5))
    # (2 * 6.5 - 1) / 4 = 3; (3 * 3 + 1) / 0.5 = 20; 20 * 10 = 200.
    assert net(torch.tensor(6.5)).item() == 200.0


@torch.no_grad()
def test_a_filled_lambda_normalizes_what_the_next_block_sees() -> None:
    net = Scnn(width=0.25).build((3, 8, 8), 5, 0.0).eval()
    x = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    z = net.block_output(x, 2)
    assert (abs(z.mean()) > 0.1, abs(z.std(correction=0) - 1) > 0.1) == (True, True)
    net.lambda_of(2).fill(z.mean(), z.std(correction=0))
    seen: list[Tensor] = []
    net.blocks[2].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net(x)
    assert seen[0].mean().item() == pytest.approx(0.0, abs=1e-6)
    assert seen[0].std(correction=0).item() == pytest.approx(1.0, abs=1e-6)


def test_lambdas_train_nothing_and_travel_in_the_state_dict() -> None:
    empty, net, twin = (BlockNet([Times(2.0), Times(3.0)], Times(10.0)) for _ in range(3))
    assert [name for name, _ in net.named_parameters() if "lambdas" in name] == []
    net.lambda_of(1).fill(*scalars(1.0, 4.0))
    x = torch.tensor(6.5)
    # ((2 * 6.5 - 1) / 4) * 3 * 10 with the lambda, 6.5 * 2 * 3 * 10 without.
    for source, expected in ((net, 90.0), (empty, 390.0), (net, 90.0)):
        twin.load_state_dict(source.state_dict())
        assert twin(x).item() == copy.deepcopy(twin)(x).item() == expected


def test_names_of_block_2_are_not_those_of_blocks_10_to_13(meta) -> None:
    net = meta(Vgg16(), (3, 32, 32))
    assert net.names_in_blocks(2, 2) == tuple(
        f"blocks.1.{name}" for name in ("conv.weight", "conv.bias", "norm.weight", "norm.bias")
    )
    assert {name.split(".")[1] for name in net.names_in_blocks(10, 13)} == {"9", "10", "11", "12"}


def test_names_above_the_last_block_are_the_top(meta) -> None:
    net = meta(Scnn(), (3, 8, 8))
    assert net.names_above(4) == net.names_in_top()
    assert (
        net.names_above(3)
        == tuple(f"blocks.3.{name}" for name in ("conv.weight", "conv.bias", "norm.weight", "norm.bias"))
        + net.names_in_top()
    )
    assert meta(Mlp(), (6,)).names_above(3) == ()


def test_head_is_the_last_dense_layer(meta) -> None:
    assert meta(Vgg16(), (3, 32, 32)).names_in_head() == ("top.head.weight", "top.head.bias")
    assert BlockNet([Times(1.0)], nn.Identity()).names_in_head() == ()


def test_kernels_are_neither_biases_nor_norms(meta) -> None:
    net = meta(Scnn(), (3, 8, 8))
    kernels = kernel_names(net)
    assert kernels == (*(f"blocks.{k}.conv.weight" for k in range(4)), "top.hidden.dense.weight", "top.head.weight")
    assert kernel_names(net, net.names_in_top()) == kernels[4:]
    shapes = [(), (3,), (3, 2), (3, 1, 3, 3)]
    assert [is_kernel("layer.weight", torch.zeros(shape)) for shape in shapes] == [False, False, True, True]
    assert not is_kernel("encoder.pos_embedding", torch.zeros(1, 3, 2))
