"""ReDo: scores and dormant units worked out by hand, what is redrawn, zeroed and cleared, and when."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from bits import changed_names, copy_state
from fake_training import Concatenating, FakeRun
from torch import Tensor, nn

from reinit_bench.core.randomness import stream
from reinit_bench.core.settings import ConfigError
from reinit_bench.methods.base import Context, begin_round
from reinit_bench.methods.redo import Redo, dormant_units, unit_scores
from reinit_bench.methods.units import clear_moments
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.channel_tracing import channels_of
from reinit_bench.models.initializers import HeNormal, initialize
from reinit_bench.models.layers import GlobalAveragePool, conv, sequence
from reinit_bench.models.resnet50 import ResNet50


def dense_net() -> BlockNet:
    """2 inputs, 4 and 3 units with ReLU, 2 logits."""
    blocks = [
        sequence(dense=nn.Linear(2, 4), relu=nn.ReLU(), dropout=nn.Dropout(0.5)),
        sequence(dense=nn.Linear(4, 3), relu=nn.ReLU()),
    ]
    net = BlockNet(blocks, nn.Linear(3, 2))
    with torch.no_grad():
        net.get_parameter("blocks.0.dense.weight").copy_(torch.tensor([[1.0, 0], [0, 1], [-1, -1], [0.25, 0]]))
        net.get_parameter("blocks.0.dense.bias").copy_(torch.tensor([0.0, 0, -1, 0]))
        net.get_parameter("blocks.1.dense.weight").copy_(torch.tensor([[1.0, 1, 5, 0], [-1, -1, 5, -1], [0, 2, 5, 0]]))
        net.get_parameter("blocks.1.dense.bias").copy_(torch.tensor([0.5, -0.5, 0.5]))
    return net


INPUTS = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
"""Through `dense_net`: active (1, 2, 0, .25), (3, 0, 0, .75), then (3.5, 0, 4.5), (3.5, 0, .5)."""


def context_of(inputs: Tensor, index: int = 2) -> Context:
    return replace(FakeRun().context(index), examples=lambda count: (inputs[:count], torch.zeros(len(inputs))))


def scores_of(net: BlockNet, inputs: Tensor) -> dict[str, Any]:
    return {name: score.numpy() for name, score in unit_scores(net, channels_of(net, "test"), inputs).items()}


def recycle(
    net: BlockNet, inputs: Tensor, epoch: int = 1, **fields: Any
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Recycle once; returns the state as it was before, and the mask of what was set."""
    before = copy_state(net)
    with torch.no_grad():
        mask = Redo(**fields).recycle(net, channels_of(net, "test"), context_of(inputs), epoch)
    return before, dict(mask)


def drawn(value: Tensor, name: str, epoch: int, index: int = 2) -> Tensor:
    """The fresh kernel, from its stream by hand."""
    return HeNormal().draw(value, stream(0, "redo", index, epoch, name))


@pytest.mark.parametrize(
    ("tau", "first", "second"), [(0.0, [2], [1]), (0.5, [2], [1]), (1 / 1.75, [2, 3], [1]), (1.2, [1, 2, 3], [1])]
)
def test_units_with_a_score_of_at_most_tau_are_dormant(tau: float, first: list[int], second: list[int]) -> None:
    net = dense_net()
    channels = channels_of(net, "test")
    found = dormant_units(channels, unit_scores(net, channels, INPUTS), tau)
    assert [units.nonzero()[:, 0].tolist() for units in found.values()] == [first, second]
    assert list(found) == list(channels.spaces[1:3])


def conv_net() -> BlockNet:
    """1 channel, 3 filters with a norm per channel, pooled to 2x2 and flattened; 2 logits."""
    net = BlockNet(
        [sequence(conv=conv(1, 3, 3), norm=nn.BatchNorm2d(3), relu=nn.ReLU(), pool=nn.MaxPool2d(2))],
        sequence(flatten=nn.Flatten(), head=nn.Linear(12, 2)),
    )
    initialize(net, HeNormal(), 3)
    return net


def test_a_recycled_channel_gets_a_fresh_norm_and_loses_all_its_flattened_features() -> None:
    net = conv_net()
    with torch.no_grad():
        net.get_parameter("blocks.0.norm.weight").copy_(torch.tensor([2.0, 3.0, 4.0]))
        net.get_parameter("blocks.0.norm.bias").copy_(torch.tensor([1.0, -1000.0, 1.0]))
    before, mask = recycle(net, torch.randn(8, 1, 4, 4))
    assert net.get_parameter("blocks.0.norm.weight").tolist() == [2, 1, 4]
    assert net.get_parameter("blocks.0.norm.bias").tolist() == [1, 0, 1]
    assert mask["top.head.weight"].tolist() == [[False] * 4 + [True] * 4 + [False] * 4] * 2
    head = net.get_parameter("top.head.weight")
    assert torch.equal(head, torch.where(mask["top.head.weight"], 0.0, before["top.head.weight"]))
    name = "blocks.0.conv.weight"
    assert torch.equal(net.get_parameter(name)[1], drawn(before[name], name, 1)[1])
    assert scores_of(net, torch.randn(8, 1, 4, 4))[name].min() > 0.1


def depthwise_net() -> BlockNet:
    """1 channel, 3 filters with ReLU, a depthwise convolution of them with ReLU; pooled; 2 logits."""
    block = sequence(
        conv=conv(1, 3, 1, bias=True),
        relu1=nn.ReLU(),
        depthwise=conv(3, 3, 1, groups=3, bias=True),
        relu2=nn.ReLU(),
        pool=GlobalAveragePool(),
    )
    net = BlockNet([block], nn.Linear(3, 2))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(1.0)
    return net


@pytest.mark.parametrize("dead", ["conv", "depthwise"])
def test_a_depthwise_convolution_is_part_of_the_unit(dead: str) -> None:
    net = depthwise_net()
    net.get_parameter(f"blocks.0.{dead}.bias").data[1] = -100.0
    before, mask = recycle(net, torch.rand(4, 1, 2, 2))
    rows = [[False], [True], [False]]
    assert {
        name: chosen.flatten(1).tolist() if chosen.dim() > 1 else chosen.tolist() for name, chosen in mask.items()
    } == {
        "blocks.0.conv.weight": rows,
        "blocks.0.conv.bias": [False, True, False],
        "blocks.0.depthwise.weight": rows,
        "blocks.0.depthwise.bias": [False, True, False],
        "top.weight": [[False, True, False]] * 2,
    }
    for layer in ("conv", "depthwise"):
        name = f"blocks.0.{layer}.weight"
        assert torch.equal(net.get_parameter(name)[1], drawn(before[name], name, 1)[1])
        assert net.get_parameter(f"blocks.0.{layer}.bias").tolist() == [1, 0, 1]
    assert net.get_parameter("top.weight").tolist() == [[1, 0, 1]] * 2


@pytest.mark.parametrize("version", [1, 2])
def test_residual_streams_are_left_alone(version: int) -> None:
    """tau above every score: all units that may be recycled are; those of the streams keep their weights."""
    net = ResNet50(width=1 / 32, version=version).build((3, 16, 16), 3, 0.0)
    initialize(net, HeNormal(), 0)
    _, mask = recycle(net, torch.randn(4, 3, 16, 16), tau=1e6)
    written = {name for name, chosen in mask.items() if bool(chosen.all()) and name.endswith("weight")}
    streams = [name for name in dict(net.named_parameters()) if "conv3" in name or "shortcut" in name or "proj" in name]
    assert "blocks.0.stem.conv.weight" in written
    assert {name for name in written if name.endswith(("conv1.weight", "conv2.weight"))} == {
        name for name, _ in net.named_parameters() if name.endswith(("conv1.weight", "conv2.weight"))
    }
    # A last convolution reads recycled units, so it is zeroed; a head that reads the stream is not touched.
    assert all(not net.get_parameter(name).any() for name in streams if "conv3" in name)
    assert "top.head.weight" not in mask
    assert not any("norm3" in name or "activation" in name for name in mask)


@pytest.mark.parametrize("kind", ["sgd", "adam", "plain"])
def test_what_the_optimizer_has_accumulated_for_these_elements_is_cleared(kind: str) -> None:
    net = dense_net()
    made: dict[str, torch.optim.Optimizer] = {
        "sgd": torch.optim.SGD(net.parameters(), lr=0.0, momentum=0.9),
        "adam": torch.optim.AdamW(net.parameters(), lr=0.0, amsgrad=True),
        "plain": torch.optim.SGD(net.parameters(), lr=0.0),
    }
    optimizer = made[kind]
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, 2.0)
    optimizer.step()
    before = copy.deepcopy(optimizer.state_dict()["state"])
    _, mask = recycle(net, INPUTS)
    clear_moments(net, optimizer, mask)
    names = {"sgd": {"momentum_buffer"}, "adam": {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}, "plain": set()}[kind]
    for number, (name, parameter) in enumerate(net.named_parameters()):
        state = optimizer.state[parameter]
        assert {key for key, value in state.items() if value is not None} - {"step"} == names
        for key in names:
            chosen = mask.get(name, torch.zeros_like(parameter, dtype=torch.bool))
            assert torch.equal(state[key], torch.where(chosen, 0.0, before[number][key])), (name, key)
            assert before[number][key].all()
        if kind == "adam":
            assert float(state["step"]) == 1


def test_after_every_second_epoch_of_a_round_units_are_recycled() -> None:
    net = dense_net()
    hooks = begin_round(Redo(every=2), net, context_of(INPUTS, index=1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0, momentum=0.9)
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert hooks is not None
    changed = []
    for _ in range(4):
        net.load_state_dict(dense_net().state_dict() | {"top.weight": torch.ones(2, 3)})
        before = copy_state(net)
        with torch.no_grad():
            hooks.after_epoch(net, optimizer)
        changed.append(changed_names(before, net))
    assert [bool(names) for names in changed] == [False, True, False, True]
    name = "blocks.0.dense.weight"
    assert torch.equal(net.get_parameter(name)[2], drawn(net.get_parameter(name), name, epoch=4, index=1)[2])
    assert hooks.state_dict() == {"epochs": 4}
    momentum = optimizer.state[net.get_parameter("top.weight")]["momentum_buffer"]
    assert momentum.tolist() == [[1, 0, 1]] * 2


def test_every_round_recycles_at_the_start_of_every_round_but_the_first() -> None:
    method = Redo(every="round")
    for index in (1, 2, 3):
        net, name = dense_net(), "blocks.0.dense.weight"
        before = copy_state(net)
        assert begin_round(method, net, context_of(INPUTS, index)) is None
        assert bool(changed_names(before, net)) is (index > 1)
        if index > 1:
            assert torch.equal(net.get_parameter(name)[2], drawn(before[name], name, epoch=0, index=index)[2])


@pytest.mark.parametrize("every", [3, "round"])
def test_a_network_that_cannot_be_followed_is_refused_in_the_first_round(every: int | str) -> None:
    net = BlockNet([Concatenating()], nn.Identity())
    with pytest.raises(ConfigError, match=r"^method redo does not apply: .* through cat in layer blocks\.0$"):
        begin_round(Redo(every=every), net, context_of(INPUTS, index=1))
