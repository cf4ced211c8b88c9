"""Which submodules of any network are its blocks, and which parameters belong to which of them."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from reinit_bench.core.settings import ConfigError
from reinit_bench.models.parameters import modes_kept

Call = tuple[int, Any]
"""A block's number (from 1), and the node of the autograd graph that made its output."""


def named_blocks(model: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """The named submodules.

    Raises:
        ConfigError: they cannot be the blocks of a network.
    """
    known = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
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


def block_of_parameters(model: nn.Module, blocks: Sequence[str], sample: Tensor) -> tuple[dict[str, int], str]:
    """Find the block of each parameter, in a forward pass of two examples in evaluation mode.

    A parameter belongs to the first block whose output depends on it: the stem to block 1, what lies between two
    blocks to the later one. All others are the top's, those too that the pass does not use.

    Args:
        sample: inputs (n, ...).

    Returns:
        For each parameter the number of its block, from 1, or K + 1 for the top; and the name of the classifier head:
        the dense layer that is called last, without any the convolution, without either the empty text.

    Raises:
        ConfigError: the blocks are not called once each, in order, each with what the one before has put out; or
            one does not put out a tensor.
    """
    calls, layers = _calls(model, blocks, sample[:2])
    _check_order([k for k, _ in calls], blocks)
    heads = [name for name in layers if isinstance(model.get_submodule(name), nn.Linear)] or layers
    return _first_use(model, calls, blocks), heads[-1] if heads else ""


def _calls(model: nn.Module, blocks: Sequence[str], sample: Tensor) -> tuple[list[Call], list[str]]:
    """The blocks' calls, and the names of the dense layers and convolutions, as they are called."""
    calls: list[Call] = []
    layers: list[str] = []

    def note_block(k: int, _: nn.Module, __: Any, output: Any) -> None:
        calls.append((k, _made_by(blocks[k - 1], output)))

    def note_layer(name: str, *_: Any) -> None:
        layers.append(name)

    # Before the hooks that are there: a lambda may change what a block puts out.
    handles = [
        model.get_submodule(name).register_forward_hook(partial(note_block, k), prepend=True)
        for k, name in enumerate(blocks, start=1)
    ]
    handles += [
        module.register_forward_hook(partial(note_layer, name))
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d))
    ]
    trained = [(value, value.requires_grad) for value in model.parameters()]
    try:
        with torch.inference_mode(False), torch.enable_grad(), modes_kept(model):
            model.eval()
            for value, _ in trained:
                value.requires_grad_(value.is_floating_point())
            copy = sample.detach().clone()  # the network may change it in place
            model(copy.requires_grad_().clone() if copy.is_floating_point() else copy)
    finally:
        for handle in handles:
            handle.remove()
        for value, was_trained in trained:
            value.requires_grad_(was_trained)
    return calls, layers


def _made_by(name: str, output: Any) -> Any:
    """The node of the autograd graph that made this block's output."""
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


def _check_order(called: Sequence[int], blocks: Sequence[str]) -> None:
    for k, name in enumerate(blocks, start=1):
        if called.count(k) == 0:
            raise ConfigError(f"block {name!r} is not called in the forward pass: name submodules that are")
        if called.count(k) > 1:
            raise ConfigError(
                f"block {name!r} is called {called.count(k)} times in the forward pass: name submodules that are "
                "called once"
            )
    if called != sorted(called):
        names = ", ".join(blocks[k - 1] for k in called)
        raise ConfigError(f"the forward pass calls the blocks in another order: name them as {names}")


def _first_use(model: nn.Module, calls: Sequence[Call], blocks: Sequence[str]) -> dict[str, int]:
    """For each parameter the first block whose output depends on it; K + 1: none does."""
    names = {id(value): name for name, value in model.named_parameters()}
    block_of = dict.fromkeys(names.values(), len(blocks) + 1)
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
            one, other = blocks[k - 2 : k]
            raise ConfigError(f"block {other!r} does not use the output of block {one!r}: name blocks of one sequence")
        before = made_by
    return block_of
