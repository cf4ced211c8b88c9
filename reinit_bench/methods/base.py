"""What a reinitialization method is, and equation (1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from reinit_bench.core.hooks import Hooks
from reinit_bench.core.randomness import stream
from reinit_bench.core.rounds import Round
from reinit_bench.core.settings import Settings, setting
from reinit_bench.methods.gradients import gradient
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.initializers import Initializer, initial_values
from reinit_bench.models.parameters import is_kernel, owner_of, parametrizations, refuse_parametrized

Mask: TypeAlias = Mapping[str, Tensor]
"""The s of equation (1): for each parameter's name a bool tensor of its shape, true where it is redrawn.

A parameter that the mask does not name is left alone.
"""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a method may know at the start of a round.

    Attributes:
        round: the round that begins.
        seed: the run's seed, for the method's named streams.
        initializer: what the network was initialized with.
        initial: computes every parameter's value at the run's first initialization, on the parameter's device.
        initial_norms: each parameter's Frobenius norm at initialization.
        examples: returns inputs and labels of a given number of random training examples, without augmentation:
            Algorithm 1's X, the same in all rounds of a run.
        batches: returns all training examples in order, without augmentation, a given number at a time.
        micro_batch: examples that may go through the network at once; None: any number.
        fixed: names of parameters that the user has frozen; they keep their values.
    """

    round: Round
    seed: int
    initializer: Initializer
    initial: Callable[[], Mapping[str, Tensor]]
    initial_norms: Mapping[str, float]
    examples: Callable[[int], tuple[Tensor, Tensor]]
    batches: Callable[[int], Iterable[tuple[Tensor, Tensor]]]
    micro_batch: int | None = None
    fixed: frozenset[str] = frozenset()

    def stream(self, *purpose: str | int) -> torch.Generator:
        """A named stream of this run (not of this round: name the round if it matters)."""
        return stream(self.seed, *purpose)

    def sample(self, count: int) -> Tensor:
        """The inputs of `examples`."""
        return self.examples(count)[0]

    def gradients(self, net: BlockNet, batch_size: int) -> Iterator[dict[str, Tensor]]:
        """The gradient of the mean cross-entropy over each batch of `batches`; see `gradients.gradient`."""
        for inputs, labels in self.batches(batch_size):
            yield gradient(net, inputs, labels, self.micro_batch)


@dataclass(frozen=True, kw_only=True)
class Reinitializer(Settings):
    """Base of all methods: one file and one frozen dataclass of hyperparameters each.

    Most methods define what `select` redraws (see `Redraw`), or another `transform`, or `hooks`.
    """

    section: ClassVar[str] = "method"

    repeats: int = setting(1, least=1)
    """The paper's N; a run has K x N rounds."""

    def rounds(self, num_blocks: int, repeats: int, max_steps: int) -> tuple[Round, ...]:
        """The rounds of a run on a network of `num_blocks` blocks, each of at most `max_steps` steps."""
        count = num_blocks * repeats
        return tuple(Round(index=i, block=0, repeat=i, max_steps=max_steps) for i in range(1, count + 1))

    def transform(self, net: BlockNet, context: Context) -> None:
        """Change the network, in place, at the start of this round: `prepare`, then equation (1)."""
        self.prepare(net, context)
        chosen = self.select(net, context)
        mask = {name: elements for name, elements in chosen.items() if name not in context.fixed}
        refuse_parametrized(net, _in_parts(net, mask), self)
        fresh = self.fresh(net, mask, context)
        apply_mask(net, mask, fresh)
        for name in fresh.keys() - mask.keys():  # buffers of parametrizations
            getattr(*owner_of(net, name)).copy_(fresh[name])
        reset_statistics(net, mask)

    def prepare(self, net: BlockNet, context: Context) -> None:
        """Change the network before anything is redrawn (LW rescales and fills a lambda layer)."""

    def select(self, net: BlockNet, context: Context) -> Mask:
        """The mask s of equation (1) at the start of this round; empty if nothing is redrawn."""
        return {}

    def fresh(self, net: BlockNet, mask: Mask, context: Context) -> Mapping[str, Tensor]:
        """The eta of equation (1) for the parameters that the mask names: new draws of the model's initializer."""
        return initial_values(net, context.initializer, mask, context.seed, "reinitialize", context.round.index)

    def frozen(self, net: BlockNet, context: Context) -> frozenset[str]:
        """Names of parameters that this round does not train."""
        return frozenset()

    def hooks(self, net: BlockNet, context: Context) -> Hooks | None:
        """What acts while this round trains; None for most methods.

        Called before `transform`: the network is as the last round has left it.
        """
        return None


@dataclass(frozen=True, kw_only=True)
class Redraw(Reinitializer):
    """Base of the methods that redraw parameters."""

    fresh_scale: float = setting(1.0, above=0)
    """Multiplies the fresh kernels; 1 / sqrt(6) gives the deviation of the uniform draws of three public codes."""

    def fresh(self, net: BlockNet, mask: Mask, context: Context) -> Mapping[str, Tensor]:
        return self.scaled(super().fresh(net, mask, context))

    def scaled(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Fresh values with the kernels multiplied by `fresh_scale`."""
        return {name: value * self.fresh_scale if is_kernel(name, value) else value for name, value in values.items()}


@torch.no_grad()
def begin_round(method: Reinitializer, net: BlockNet, context: Context) -> Hooks | None:
    """All that a method does between two rounds; returns what it does while the next one trains."""
    parameters = dict(net.named_parameters())
    fixed = {name: parameters[name].clone() for name in context.fixed}
    hooks = method.hooks(net, context)
    method.transform(net, context)
    for name, value in fixed.items():
        parameters[name].copy_(value)
    if hooks is not None:
        hooks.begin(net)
    return hooks


@torch.no_grad()
def apply_mask(net: BlockNet, mask: Mask, fresh: Mapping[str, Tensor]) -> None:
    """Equation (1): w <- (1 - s) * w + s * eta, in place, for every parameter that the mask names."""
    parameters = dict(net.named_parameters())
    for name, chosen in mask.items():
        old = parameters[name]
        assert chosen.shape == old.shape, f"mask of {name} has shape {chosen.shape}, the parameter {old.shape}"
        old.copy_(torch.where(chosen.to(old.device), fresh[name], old))


def _in_parts(net: BlockNet, mask: Mask) -> list[str]:
    """The parameters of parametrized weights that are not redrawn whole, with all that belongs to them."""
    whole = {name for name, chosen in mask.items() if bool(chosen.all())}
    return [
        f"{path}.{name}"
        for path in parametrizations(net, mask)
        for name, _ in net.get_submodule(path).named_parameters()
        if f"{path}.{name}" not in whole
    ]


def reset_statistics(net: BlockNet, mask: Mask) -> None:
    """Reset the running statistics of every BatchNorm whose scale and shift are redrawn entirely.

    One without scale and shift is reset with the whole network.
    """
    for prefix, module in net.named_modules():
        if isinstance(module, torch.nn.modules.batchnorm._NormBase):
            own = [f"{prefix}.{name}" for name, _ in module.named_parameters(recurse=False)]
            needed = own or [name for name, _ in net.named_parameters()]
            if all(name in mask and bool(mask[name].all()) for name in needed):
                module.reset_running_stats()


def full_mask(net: BlockNet, names: Iterable[str]) -> Mask:
    """The mask that redraws the named parameters entirely."""
    parameters = dict(net.named_parameters())
    return {name: torch.ones_like(parameters[name], dtype=torch.bool) for name in names}
