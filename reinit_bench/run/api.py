"""The Python way in: a method of this suite in a training loop of one's own."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from reinit_bench.core.conf_dir import option_file, options
from reinit_bench.core.hooks import Hooks
from reinit_bench.core.randomness import global_stream
from reinit_bench.core.rounds import Round
from reinit_bench.core.settings import ConfigError, instantiate
from reinit_bench.methods.base import Context, Reinitializer, begin_round
from reinit_bench.models.blocknet import BlockNet, WrappedNet
from reinit_bench.models.initializers import Initializer
from reinit_bench.models.parameters import frobenius, modes_kept, parametrizations

Pair = tuple[Tensor, Tensor]
"""Inputs (n, ...) and labels (n,)."""


class Reinitialization:
    """A method in a training loop of one's own.

    ```python
    resets = Reinitialization("lw", net, sample=inputs)
    for round in resets.rounds(max_steps=10_000):
        resets.begin(round)
        ...  # train `net` for at most round.max_steps steps, with a new optimizer
    ```

    A method that acts while a round trains does so through `hooks`, whose methods the loop calls in each step.
    Torch's global generators are left as they are.

    Args:
        method: a name, as on the command line, with the defaults that it has there; or an object, such as
            `Lw(freeze=True)`.
        net: a network of this suite, or what `BlockNet.wrap` returns. Its values now are its initial values.
        sample: training examples without augmentation, in random order: inputs (n, ...), or inputs and labels (n,). A
            method that needs fewer takes the first.
        data: all training examples, in batches of inputs and labels, for the methods that look at all of them: a
            `DataLoader`, for instance.
        seed: of all that the method draws.
        repeats: the paper's N; None: the method's own.
        initializer: where fresh values come from: a name, as on the command line, or an object; or a function that
            builds the model that was wrapped anew, whose constructor then draws them.

    Attributes:
        method: the method as an object.
        hooks: what the method does while this round trains; for most methods, hooks that do nothing.

    Raises:
        ConfigError: there is no such method or initializer, `net` is no BlockNet, or `seed` no whole number.
    """

    def __init__(
        self,
        method: str | Reinitializer,
        net: BlockNet,
        *,
        sample: Tensor | tuple[Tensor, Tensor] | list[Tensor] | None = None,
        data: Iterable[Any] | None = None,
        seed: int = 0,
        repeats: int | None = None,
        initializer: str | Initializer | Callable[[], nn.Module] = "he_normal",
    ) -> None:
        if not isinstance(net, BlockNet):
            raise ConfigError("net must be a BlockNet: BlockNet.wrap(net, blocks=[...]) makes one of any module")
        if isinstance(data, Iterator):
            raise ConfigError("data must be iterable more than once, as a list or a DataLoader is")
        chosen = _option("method", method) if isinstance(method, str) else method
        if not isinstance(chosen, Reinitializer):
            raise ConfigError(f"method must be a method's name, or an object such as Lw(); got {chosen!r}")
        if repeats is not None:
            chosen = replace(chosen, repeats=_whole_number("method.repeats", repeats, least=1))
        self.method: Reinitializer = chosen
        self.net = net
        self.hooks = Hooks()
        self._inputs, self._labels = _inputs_and_labels(sample)
        self._data = data
        self._seed = seed = _whole_number("seed", seed, least=0)
        self._initializer = _initializer(initializer)
        self._fixed = frozenset(name for name, value in net.named_parameters() if not value.requires_grad)
        if self._fixed:
            warnings.warn(f"frozen parameters keep their values: {', '.join(sorted(self._fixed))}", stacklevel=2)
        self._initial = {name: value.detach().clone() for name, value in net.named_parameters()}
        self._round, self._first = 0, 0
        self._resumed: Mapping[str, Any] | None = None
        if isinstance(net, WrappedNet) and not net.traced and self._inputs is not None:
            with global_stream(seed, "trace"):
                net.trace(self._inputs.to(self._device))

    def rounds(self, max_steps: int) -> tuple[Round, ...]:
        """The rounds, each of at most `max_steps` steps; after `load_state_dict`, from that state's round on."""
        most = _whole_number("max_steps", max_steps, least=1)
        rounds = self.method.rounds(self.net.num_blocks, self.method.repeats, most)
        return tuple(one for one in rounds if one.index >= self._first)

    def begin(self, round: Round) -> None:  # noqa: A002 (the paper's word)
        """Do what the command line does at a round's start: change `net` in place, set `hooks` and `requires_grad`.

        A parameter that did not require a gradient when this object was made never will, and keeps its values. In the
        round that `load_state_dict` goes on with, all values stay as they are.

        Raises:
            ConfigError: the method needs a sample, labels or data that were not given.
        """
        if not isinstance(round, Round):
            raise ConfigError(f"begin takes one of rounds(max_steps); got {round!r}")
        context = self._context(round)
        with global_stream(self._seed, "begin", round.index), modes_kept(self.net):
            if self._resumed is None or round.index != self._first:
                hooks = begin_round(self.method, self.net, context)
            else:
                hooks = self.method.hooks(self.net, context)
                if hooks is not None:
                    hooks.load_state_dict(self._resumed)
            frozen = self.method.frozen(self.net, context)
        self.hooks = Hooks() if hooks is None else hooks
        self._round, self._resumed = round.index, None
        for name, value in self.net.named_parameters():
            value.requires_grad_(name not in self._fixed | frozen)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold to go on within this round, besides the network's state dict."""
        return {
            "method": repr(self.method),
            "seed": self._seed,
            "round": self._round,
            "initial": dict(self._initial),
            "hooks": self.hooks.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on in the round of `state`: `rounds` starts there, and `begin` then leaves the network's values alone.

        Raises:
            ConfigError: the state is that of another method, seed or network.
        """
        for name, own in (("method", repr(self.method)), ("seed", self._seed)):
            if state.get(name, own) != own:
                raise ConfigError(f"this state belongs to another {name}: {state[name]} instead of {own}")
        if state["initial"].keys() != self._initial.keys():
            raise ConfigError("this state belongs to a network with other parameters")
        self._initial = dict(state["initial"])
        self._round = self._first = state["round"]
        self._resumed = state["hooks"] if self._round else None

    @property
    def _device(self) -> torch.device:
        return next(self.net.parameters()).device

    def _context(self, round: Round) -> Context:  # noqa: A002
        return _Context(
            round=round,
            seed=self._seed,
            initializer=self._initializer,
            initial=self._initial_values,
            initial_norms={name: frobenius(value) for name, value in self._initial.items()},
            inputs=self._first_inputs,
            examples=self._first_examples,
            batches=self._batches,
            fixed=self._fixed,
        )

    def _initial_values(self) -> dict[str, Tensor]:
        return {name: value.to(self._device) for name, value in self._initial.items()}

    def _first_inputs(self, count: int) -> Tensor:
        if self._inputs is None:
            raise ConfigError(f"{self._name} looks at training examples: give Reinitialization sample=INPUTS")
        return self._inputs[:count].to(self._device)

    def _first_examples(self, count: int) -> Pair:
        if self._labels is None:
            raise ConfigError(
                f"{self._name} looks at labelled training examples: give Reinitialization sample=(INPUTS, LABELS)"
            )
        return self._first_inputs(count), self._labels[:count].to(self._device)

    def _batches(self, size: int) -> Iterator[Pair]:
        if self._data is None:
            raise ConfigError(f"{self._name} looks at all training data: give Reinitialization data=LOADER")
        for inputs, labels in _in_batches(self._data, size):
            yield inputs.to(self._device), labels.to(self._device)

    @property
    def _name(self) -> str:
        return type(self.method).__name__


@dataclass(frozen=True, kw_only=True)
class _Context(Context):
    """A context whose inputs may have no labels."""

    inputs: Callable[[int], Tensor]

    def sample(self, count: int) -> Tensor:
        return self.inputs(count)


@dataclass(frozen=True, kw_only=True)
class Rebuilt(Initializer):
    """Fresh values are what the constructor of the user's network draws."""

    build: Callable[[], nn.Module]

    def values(self, net: nn.Module, names: Iterable[str], seed: int, *purpose: str | int) -> dict[str, Tensor]:
        with global_stream(seed, *purpose):
            model = self.build()
        built = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        parameters, fresh = {**dict(net.named_parameters()), **dict(net.named_buffers())}, {}
        wanted = list(names)
        # With a parametrized weight come its parametrization's buffers, such as a spectral norm's vectors.
        for path in sorted(parametrizations(net, wanted)):
            wanted += [f"{path}.{name}" for name, _ in net.get_submodule(path).named_buffers()]
        for name in wanted:
            old, new = parameters[name], built.get(name, built.get(name.removeprefix("model.")))
            if new is None or new.shape != old.shape:
                raise ConfigError(
                    f"initializer must build the network anew; what it built has no {name} like the net's"
                )
            fresh[name] = new.detach().to(device=old.device, dtype=old.dtype)
        return fresh


def _initializer(given: str | Initializer | Callable[[], nn.Module]) -> Initializer:
    if isinstance(given, str):
        chosen: Initializer = _option("initializer", given)
        return chosen
    if isinstance(given, Initializer):
        return given
    if not callable(given):
        raise ConfigError(
            "initializer must be an initializer's name, an object such as HeNormal(), or a function that builds the "
            f"model; got {given!r}"
        )
    return Rebuilt(build=given)


def _inputs_and_labels(sample: Any) -> tuple[Tensor | None, Tensor | None]:
    if sample is None or isinstance(sample, Tensor):
        return sample, None
    if isinstance(sample, (tuple, list)) and len(sample) == 2 and all(isinstance(part, Tensor) for part in sample):
        return sample[0], sample[1]
    raise ConfigError("sample must be a tensor of inputs, or one of inputs and one of labels: sample=(INPUTS, LABELS)")


def _whole_number(name: str, value: Any, least: int) -> int:
    """`value` as an int; also one of numpy's or torch's. 0.0, True and "0" would draw other streams than 0."""
    number = None
    if not isinstance(value, bool):
        with suppress(TypeError):
            number = operator.index(value)
    if number is None or number < least:
        raise ConfigError(f"{name} must be a whole number of at least {least}; got {value!r}")
    return number


def _option(group: str, name: str) -> Any:
    """The object that an option of the command line describes."""
    file = option_file(group, name)
    if file is None:
        raise ConfigError(f"there is no {group} {name!r}; there are {', '.join(options(group))}")
    return instantiate(yaml.safe_load(file.read_text(encoding="utf-8")), group)


def _in_batches(data: Iterable[Any], size: int) -> Iterator[Pair]:
    """The examples of `data` in batches of `size`, the last of what is left, however long its own batches are."""
    kept: list[Pair] = []
    for batch in data:
        inputs, labels = (torch.cat(tensors) for tensors in zip(*kept, batch, strict=True))
        while len(labels) >= size:
            yield inputs[:size], labels[:size]
            inputs, labels = inputs[size:], labels[size:]
        kept = [(inputs, labels)]
    if kept and len(kept[0][1]):
        yield kept[0]
