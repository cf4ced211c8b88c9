"""A network of the user's as a BlockNet: what belongs to which block, what stays as it was, what is refused."""

from __future__ import annotations

import copy
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from bits import bit_equal, copy_state
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from reinit_bench.core.settings import ConfigError
from reinit_bench.models.blocknet import BlockNet, WrappedNet


class Odd(nn.Module):
    """A network with all that makes it hard to say what belongs where: registered in no order, weights in no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 2)
        self.second = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.BatchNorm1d(4))
        self.first = nn.Linear(4, 4)
        self.shift = nn.Parameter(torch.zeros(4))
        self.gain = nn.Parameter(torch.ones(2))
        self.between = nn.Linear(4, 4)
        self.late = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
        self.stem = nn.Linear(3, 4)
        self.unused = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.stem(x.mul_(2.0)))
        x = functional.linear(x, self.between.weight, self.between.bias).add_(self.shift)
        x = self.late(self.second(x))
        output: Tensor = self.head(x) * self.gain
        return output


def odd() -> Odd:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Odd()


def vectors(count: int = 6) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(0))


class Ordered(nn.Module):
    """Layers that are called as `order` says."""

    def __init__(self, order: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(3, 3) for _ in range(3))
        self.pair = Pair()
        self.order = order

    def forward(self, x: Tensor) -> Any:
        return self.order(self, x)


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.inner(x), x


def test_a_parameter_belongs_to_the_first_block_that_depends_on_it() -> None:
    """Wherever it is registered, and whether its module is called or not."""
    net = BlockNet.wrap(odd(), ["first", "second"], sample=vectors())

    def of(*modules: str) -> set[str]:
        return {f"model.{module}.{kind}" for module in modules for kind in ("weight", "bias")}

    assert set(net.names_in_blocks(1, 1)) == of("stem", "first")
    assert set(net.names_in_blocks(2, 2)) == {"model.shift"} | of("between", "second.0", "second.2")
    assert set(net.names_in_top()) == {"model.gain"} | of("late.0", "head", "unused")
    assert set(net.names_in_head()) == of("head")


def test_the_model_stays_as_it_was() -> None:
    """Its outputs, parameters, keys, buffers and modes; the sample and torch's random numbers too."""
    plain, model, x = odd(), odd(), vectors()
    model.second.eval()  # as when a norm's statistics are kept
    model.first.weight.requires_grad_(False)
    modes = {name: module.training for name, module in model.named_modules()}
    before, given, random = copy_state(model), x.clone(), torch.get_rng_state()
    net = BlockNet.wrap(model, ["first", "second"], sample=x)
    assert bit_equal(copy_state(model), before)
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert [name for name, value in model.named_parameters() if not value.requires_grad] == ["first.weight"]
    assert torch.equal(x, given)
    assert torch.equal(torch.get_rng_state(), random)
    assert set(net.state_dict()) == {f"model.{name}" for name in before} | {
        f"lambdas.{k}.{kind}" for k in range(2) for kind in ("mean", "std")
    }
    assert torch.equal(net.eval()(vectors()), plain.eval()(vectors()))
    assert net.unwrap() is model


def test_without_a_sample_the_first_call_tells() -> None:
    net = BlockNet.wrap(odd(), ["first", "second"])
    message = (
        "it is not known yet which parameters belong to which block: give BlockNet.wrap sample=INPUTS, or call the net "
        "once"
    )
    for names in (net.names_in_top, net.names_in_head, lambda: net.names_above(1)):
        with pytest.raises(ConfigError, match=re.escape(message)):
            names()
    with torch.inference_mode():
        net(vectors())
    expected = BlockNet.wrap(odd(), ["first", "second"], sample=vectors())
    assert net.names_in_blocks(1, 1) == expected.names_in_blocks(1, 1)
    assert net.names_in_top() == expected.names_in_top()


@torch.no_grad()
def test_block_output_is_before_its_own_lambda_and_after_the_one_below() -> None:
    net, x = BlockNet.wrap(odd(), ["first", "second"], sample=vectors()).eval(), vectors()
    model = net.model
    net.lambda_of(1).fill(torch.tensor(1.0), torch.tensor(2.0))
    net.lambda_of(2).fill(torch.tensor(5.0), torch.tensor(3.0))
    first = model.first.forward(model.stem(2.0 * x))
    assert torch.equal(net.block_output(x.clone(), 1), first)
    second = model.second.forward(model.between((first - 1.0) / 2.0))
    assert torch.equal(net.block_output(x.clone(), 2), second)
    head = model.head(model.late((second - 5.0) / 3.0))
    assert torch.equal(net(x.clone()), head)


def loaded(net: WrappedNet) -> WrappedNet:
    """A copy by a file."""
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    found: WrappedNet = torch.load(file, weights_only=False)
    return found


@pytest.mark.parametrize("copied", [copy.deepcopy, loaded])
def test_a_copy_has_its_own_lambdas(
    copied: Callable[[WrappedNet], WrappedNet], monkeypatch: pytest.MonkeyPatch
) -> None:
    net, x = BlockNet.wrap(odd(), ["first", "second"], sample=vectors()).eval(), vectors()
    net.lambda_of(1).fill(torch.tensor(1.0), torch.tensor(2.0))
    (number,) = net.model.first._forward_hooks
    monkeypatch.setattr(RemovableHandle, "next_id", number)  # torch numbers hooks from 0 in every process
    twin = copied(net)
    twin.model.first.register_forward_hook(lambda *_: None)  # of the user's: it replaces no lambda
    assert torch.equal(twin(x.clone()), net(x.clone()))
    twin.lambda_of(1).clear()
    assert not torch.equal(twin(x.clone()), net(x.clone()))
    assert twin.names_in_top() == net.names_in_top()
    assert torch.equal(twin.block_output(x.clone(), 1), net.block_output(x.clone(), 1))


def in_turn(net: Any, x: Tensor) -> Tensor:
    output: Tensor = net.c(net.b(net.a(x)))
    return output


REFUSED: list[tuple[Callable[[Any, Tensor], Any], list[str], str]] = [
    (in_turn, [], "a BlockNet needs at least one block: name submodules, the first that is called first"),
    (in_turn, ["pairs"], "the network has no submodule 'pairs'; did you mean pair?"),
    (in_turn, ["xyz"], "the network has no submodule 'xyz'; it has a, b, c, pair"),
    (in_turn, [""], "the network has no submodule ''; it has a, b, c, pair"),
    (in_turn, ["a", "b", "a"], "blocks 'a' and 'a' are one module: name it once"),
    (in_turn, ["pair.inner", "pair"], "block 'pair.inner' lies in block 'pair': name one of the two"),
    (in_turn, ["a", "pair"], "block 'pair' is not called in the forward pass: name submodules that are"),
    (
        lambda net, x: net.b(net.a(net.a(x))),
        ["a", "b"],
        "block 'a' is called 2 times in the forward pass: name submodules that are called once",
    ),
    (in_turn, ["b", "c", "a"], "the forward pass calls the blocks in another order: name them as a, b, c"),
    (
        lambda net, x: net.pair(net.a(x))[0],
        ["a", "pair"],
        "block 'pair' puts out a tuple, and a block must put out one tensor: name a submodule that does",
    ),
    (
        lambda net, x: net.b(x) + net.a(x).sum(),
        ["b", "a"],
        "block 'a' does not use the output of block 'b': name blocks of one sequence",
    ),
    (
        lambda net, x: net.b(torch.no_grad()(net.a)(x)),
        ["a", "b"],
        "the output of block 'a' has no gradient (no_grad, detach or whole numbers): nothing shows which parameters it "
        "depends on",
    ),
]


@pytest.mark.parametrize(("order", "names", "message"), REFUSED)
def test_blocks_that_are_no_sequence_are_refused(
    order: Callable[[Any, Tensor], Any], names: list[str], message: str
) -> None:
    model = Ordered(order)
    with pytest.raises(ConfigError) as error:
        BlockNet.wrap(model, names, sample=vectors())
    assert str(error.value) == message
    assert [module for module in model.modules() if module._forward_hooks] == []  # it can be wrapped with other names


def test_after_a_sample_that_does_not_fit_the_model_can_be_wrapped_again() -> None:
    model = Ordered(in_turn)
    with pytest.raises(RuntimeError, match="shapes"):
        BlockNet.wrap(model, ["a"], sample=torch.zeros(2, 4))
    BlockNet.wrap(model, ["a"], sample=vectors())


def test_a_network_is_wrapped_once() -> None:
    model = Ordered(in_turn)
    net = BlockNet.wrap(model, ["a"])
    with pytest.raises(ConfigError, match=r"^this network is a BlockNet: use it as it is$"):
        BlockNet.wrap(net, ["model.b"])
    message = r"^this network is wrapped already: use that BlockNet, or wrap what its unwrap\(\) returns$"
    with pytest.raises(ConfigError, match=message):
        BlockNet.wrap(model, ["b"])
    assert BlockNet.wrap(net.unwrap(), ["b"]).block_names == ("b",)
