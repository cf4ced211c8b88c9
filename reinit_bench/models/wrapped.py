"""Any network as a BlockNet: some of its submodules, named in order, are the blocks; its own forward pass stays."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from reinit_bench.core.settings import ConfigError
from reinit_bench.models.blocknet import BlockNet, Lambda, modes_kept

Watch = Callable[[int, Any], None]
"""Is shown each block's number (from 1) and its output before the lambda."""


class WrappedNet(BlockNet):
    """What `BlockNet.wrap` returns: a network of the user's, whose lambda slots act as forward hooks on its blocks.

    Attributes:
        model: the user's network. Its state dict has the keys it had; in this net's they begin with `model.`, and the
            lambdas' are `lambdas.0.mean` and so on.
        block_names: the blocks, as they were named.
    """

    def __init__(self, model: nn.Module, blocks: Sequence[str]) -> None:
        nn.Module.__init__(self)  # not BlockNet's: the blocks stay where they are in the model
        modules = _modules(model, blocks)
        self.model = model
        self.training = model.training
        self.block_names = tuple(blocks)
        self.lambdas = nn.ModuleList(Lambda() for _ in modules)
        first = next(model.parameters(), None)
        if first is not None:
            self.lambdas.to(first.device)
        self._hooks = [_LambdaHook(self.lambda_of(k)) for k in range(1, len(modules) + 1)]
        # A handle that is loaded from a file reserves its hook's number, which a later hook would otherwise take over.
        self._handles = [block.register_forward_hook(hook) for block, hook in zip(modules, self._hooks, strict=True)]
        self._block_of: dict[str, int] | None = None
        self._head = ""

    @property
    def traced(self) -> bool:
        """Whether it is known which parameters belong to which block."""
        return self._block_of is not None

    def forward(self, x: Tensor) -> Tensor:
        if not self.traced and not torch.compiler.is_compiling():
            self.trace(x)
        output: Tensor = self.model(x)
        return output

    def trace(self, sample: Tensor) -> None:
        """Find which block each parameter belongs to, in a forward pass of two examples in evaluation mode.

        A parameter belongs to the first block whose output depends on it: the stem to block 1, what lies between two
        blocks to the later one. All others are the top's, those too that the pass does not use.

        Args:
            sample: inputs (n, ...).

        Raises:
            ConfigError: the blocks are not called once each, in order, each with what the one before has put out; or
                one does not put out a tensor.
        """
        calls, head = self._record(_with_gradient(sample[:2]))
        self._check_order([k for k, _ in calls])
        self._block_of, self._head = self._first_use(calls), head

    def unwrap(self) -> nn.Module:
        """The model without lambdas. It can then be wrapped again; this net is of no more use."""
        for handle in self._handles:
            handle.remove()
        return self.model

    def block_output(self, x: Tensor, k: int) -> Tensor:
        assert 1 <= k <= self.num_blocks, f"block {k} of {self.num_blocks}"

        def stop(number: int, output: Tensor) -> None:
            if number == k:
                raise _Reached(output)

        try:
            with self._watched(stop):
                self.model(x)
        except _Reached as reached:
            return reached.output
        raise ConfigError(f"block {self.block_names[k - 1]!r} was not called in this forward pass")

    def names_in_blocks(self, first: int, last: int) -> tuple[str, ...]:
        return tuple(name for name, k in self._places().items() if first <= k <= last)

    def names_in_top(self) -> tuple[str, ...]:
        return tuple(name for name, k in self._places().items() if k > self.num_blocks)

    def names_in_head(self) -> tuple[str, ...]:
        """Names of the classifier head's parameters: the dense layer that is called last; without any, convolution."""
        return tuple(name for name in self._places() if self._head and name.startswith(f"{self._head}."))

    def _places(self) -> dict[str, int]:
        if self._block_of is None:
            raise ConfigError(
                "it is not known yet which parameters belong to which block: give BlockNet.wrap sample=INPUTS, or call "
                "the net once"
            )
        return self._block_of

    def _record(self, x: Tensor) -> tuple[list[tuple[int, Any]], str]:
        """The blocks as they are called, with their outputs' nodes in the autograd graph; and the head's name."""
        calls: list[tuple[int, Any]] = []
        layers: list[tuple[bool, str]] = []
        notes = [
            module.register_forward_hook(
                lambda layer, _, __, name=name: layers.append((isinstance(layer, nn.Linear), name))
            )
            for name, module in self.named_modules()
            if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d))
        ]
        trained = [(value, value.requires_grad) for value in self.parameters()]
        try:
            with torch.inference_mode(False), torch.enable_grad(), modes_kept(self):
                self.eval()
                for value, _ in trained:
                    value.requires_grad_(value.is_floating_point())
                with self._watched(lambda k, output: calls.append((k, self._made_by(k, output)))):
                    self.model(x)
        finally:
            for note in notes:
                note.remove()
            for value, was_trained in trained:
                value.requires_grad_(was_trained)
        heads = [name for is_dense, name in layers if is_dense] or [name for _, name in layers]
        return calls, heads[-1] if heads else ""

    @contextmanager
    def _watched(self, watch: Watch) -> Iterator[None]:
        """Show the blocks' outputs to `watch` within this block."""
        for k, hook in enumerate(self._hooks, start=1):
            hook.watch = partial(watch, k)
        try:
            yield
        finally:
            for hook in self._hooks:
                hook.watch = None

    def _made_by(self, k: int, output: Any) -> Any:
        """The node of the autograd graph that made block `k`'s output."""
        name = self.block_names[k - 1]
        if not isinstance(output, Tensor):
            raise ConfigError(
                f"block {name!r} puts out a {type(output).__name__}, and a block must put out one tensor: name a "
                "submodule that does"
            )
        if output.grad_fn is None:
            raise ConfigError(
                f"the output of block {name!r} has no gradient (no_grad, detach or whole numbers): nothing shows which "
                "parameters it depends on"
            )
        return output.grad_fn

    def _check_order(self, called: list[int]) -> None:
        for k, name in enumerate(self.block_names, start=1):
            if called.count(k) == 0:
                raise ConfigError(f"block {name!r} is not called in the forward pass: name submodules that are")
            if called.count(k) > 1:
                raise ConfigError(
                    f"block {name!r} is called {called.count(k)} times in the forward pass: name submodules that are "
                    "called once"
                )
        if called != sorted(called):
            names = ", ".join(self.block_names[k - 1] for k in called)
            raise ConfigError(f"the forward pass calls the blocks in another order: name them as {names}")

    def _first_use(self, calls: Sequence[tuple[int, Any]]) -> dict[str, int]:
        """For each parameter the first block whose output depends on it; K + 1: none does."""
        names = {id(value): name for name, value in self.named_parameters()}
        block_of = dict.fromkeys(names.values(), self.num_blocks + 1)
        seen: set[Any] = set()
        before: Any = None
        for k, made_by in calls:
            builds_on, waiting = k == 1, [made_by]
            while waiting:
                node = waiting.pop()
                builds_on = builds_on or node is before
                if node is None or node in seen:
                    continue
                seen.add(node)
                name = names.get(id(getattr(node, "variable", None)))  # a parameter's node has it
                if name is not None:
                    block_of[name] = k
                waiting += [earlier for earlier, _ in node.next_functions]
            if not builds_on:
                one, other = self.block_names[k - 2 : k]
                raise ConfigError(
                    f"block {other!r} does not use the output of block {one!r}: name blocks of one sequence"
                )
            before = made_by
        return block_of


class _LambdaHook:
    """A forward hook: hands the block's output through the lambda.

    An object that holds the lambda, and no closure: copied or pickled with the network, the two stay together.
    """

    def __init__(self, slot: Lambda) -> None:
        self.slot = slot
        self.watch: Callable[[Any], None] | None = None

    def __call__(self, block: nn.Module, inputs: Any, output: Any) -> Any:
        if self.watch is not None:
            self.watch(output)
        return self.slot(output)


class _Reached(Exception):
    """Stops a forward pass at a block's output."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output


def _modules(model: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """The named submodules.

    Raises:
        ConfigError: they cannot be the blocks of a network.
    """
    known = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    if isinstance(model, BlockNet):
        raise ConfigError("this network is a BlockNet: use it as it is")
    if any(isinstance(hook, _LambdaHook) for module in model.modules() for hook in module._forward_hooks.values()):
        raise ConfigError("this network is wrapped already: use that BlockNet, or wrap what its unwrap() returns")
    if not names:
        raise ConfigError("a BlockNet needs at least one block: name submodules, the first that is called first")
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            others = [child for child, _ in model.named_children()]
            hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(others) or 'none'}"
            raise ConfigError(f"the network has no submodule {name!r}; {hint}")
    for outer, inner in itertools.permutations(names, 2):
        if known[inner] is known[outer]:
            raise ConfigError(f"blocks {outer!r} and {inner!r} are one module: name it once")
        if any(module is known[inner] for module in known[outer].modules()):
            raise ConfigError(f"block {inner!r} lies in block {outer!r}: name one of the two")
    return [known[name] for name in names]


@torch.inference_mode(False)
@torch.enable_grad()
def _with_gradient(x: Tensor) -> Tensor:
    """A copy that a network may change in place, and whose gradient is recorded if it holds fractions."""
    copy = x.detach().clone()
    return copy.requires_grad_().clone() if copy.is_floating_point() else copy
