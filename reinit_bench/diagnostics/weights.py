"""The size of the weights (Appendix D, Figure 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn

from reinit_bench.core.randomness import stream
from reinit_bench.data.task import Task
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.parameters import frobenius

EXAMPLES = 256
"""Training examples whose activations are measured: the paper's number."""

_AT_A_TIME = 64


def measure(net: BlockNet, task: Task, seed: int) -> Iterator[tuple[str, Any]]:
    """`size` = `activations` x `head`.

    `activations` is the Frobenius norm of the input to the classifier head over 256 random training examples (all, if
    there are fewer; `examples` says how many), `head` that of the head's kernel. Runs of one seed use the same
    examples.

    Raises:
        ValueError: the network has no dense layer that could be its head.
    """
    head = head_of(net)
    inputs, _ = task.sample(EXAMPLES, stream(seed, "weights", "sample"))
    activations, kernel = norm_of_input(net, head, inputs), frobenius(head.weight)
    yield "activations", activations
    yield "head", kernel
    yield "size", activations * kernel
    yield "examples", len(inputs)


def head_of(net: BlockNet) -> nn.Linear:
    """The classifier head: the network's last dense layer."""
    names = net.names_in_head()
    head = net.get_submodule(names[0].rpartition(".")[0]) if names else None
    if not isinstance(head, nn.Linear):
        raise ValueError("the network has no dense layer that could be its head")
    return head


def norm_of_input(net: BlockNet, layer: nn.Module, inputs: Tensor) -> float:
    """The Frobenius norm of the input to `layer`, over all of `inputs` together."""
    return float(sum(seen(net, layer, inputs, lambda given: given.double().square().sum()))) ** 0.5


def seen(net: BlockNet, layer: nn.Module, inputs: Tensor, look: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """What `look` makes of each input to `layer` while the network goes through `inputs`, a few examples at a time."""
    found: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, given: found.append(look(given[0])))
    try:
        for part in inputs.split(_AT_A_TIME):
            net(part)
    finally:
        handle.remove()
    assert found, "the layer was never called"
    return found
