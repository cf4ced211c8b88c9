"""Fresh values of what no initializer knows: those that the constructor of its module gives.

A parameter of a layer of torch's has its `reset_parameters`, and so may one of the user's. Elements that the
constructor made equal (the ones of a norm of one's own, a layer scale's 1e-6, a temperature, an LSTM's forget biases)
get that value again. A parametrized weight is drawn as what it parametrizes, and handed to the inverse.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reinit_bench.core.randomness import global_stream
from reinit_bench.core.settings import ConfigError
from reinit_bench.models.parameters import kind_of, owner_of, parametrizations

Draw = Callable[[nn.Module, str, Tensor, str], Tensor | None]
"""Fresh values of a module's parameter that is known; takes the module, its name for it, its values, its full name."""

_RESETS = ("reset_parameters", "_reset_parameters", "init_weights")  # in torch's, and in many other libraries' words
_POWER_ITERATIONS = 15  # as many as torch's spectral norm begins with


def unknown_values(net: nn.Module) -> dict[str, Tensor]:
    """Copies of all parameters that no initializer knows, as the constructor has made them."""
    found = {}
    for name, value in net.named_parameters():
        if kind_of(*owner_of(net, name)) is None:
            found[name] = value.detach().clone()
    return found


def constructed_values(
    net: nn.Module, names: Sequence[str], draw: Draw, seed: int, *purpose: str | int
) -> dict[str, Tensor]:
    """Fresh values for these parameters, and for the buffers of their parametrizations, by name.

    Raises:
        ConfigError: how some of them came about is not known.
    """
    values: dict[str, Tensor] = {}
    inside = parametrizations(net, names)
    for path in sorted(inside):
        values |= _parametrized(net, path, draw, seed, *purpose)
    others = [name for name in names if name.rpartition(".")[0] not in inside]
    rebuild, built = getattr(net, "rebuild", None), getattr(net, "constructed", {})
    if rebuild is not None and others:
        with global_stream(seed, *purpose):
            again = dict(rebuild().named_parameters())
        return values | {name: again[name].detach() for name in others}
    for name, reset in _reset(net, others, seed, *purpose).items():
        value = _with_constants(reset, built.get(name))
        if value is not None:
            values[name] = value
    missing = [name for name in names if name not in values]
    if missing:
        raise ConfigError(
            f"no fresh values are known for {', '.join(missing)}: give the module a reset_parameters(), or "
            "Reinitialization initializer=a function that builds the network"
        )
    return values


def _reset(net: nn.Module, names: Sequence[str], seed: int, *purpose: str | int) -> dict[str, Tensor | None]:
    """What resetting the module of each parameter gives, or else resetting what that module is in; None: nothing."""
    found: dict[str, Tensor | None] = dict.fromkeys(names)
    paths = {name.rpartition(".")[0] for name in names}
    while any(value is None for value in found.values()):
        for path in sorted(paths):
            within = f"{path}." if path else ""
            left = [name.removeprefix(within) for name in names if found[name] is None and name.startswith(within)]
            again = _reset_module(net.get_submodule(path), left, seed, *purpose, path)
            found |= {f"{within}{name}": value for name, value in again.items()}
        if paths == {""}:
            break
        paths = {path.rpartition(".")[0] for path in paths}
    return found


def _reset_module(module: nn.Module, names: Sequence[str], seed: int, *purpose: str | int) -> dict[str, Tensor]:
    """What a module's own function for it gives to these parameters; without those that it does not touch."""
    function = next((name for name in _RESETS if _takes_nothing(getattr(module, name, None))), None)
    if function is None or not names:
        return {}
    twin = copy.deepcopy(module).cpu()
    for name in names:
        twin.get_parameter(name).detach().fill_(torch.nan)
    with global_stream(seed, *purpose), torch.no_grad():
        getattr(twin, function)()
    own = {name: twin.get_parameter(name).detach() for name in names}
    return {name: value for name, value in own.items() if not value.isnan().any()}


def _takes_nothing(function: Any) -> bool:
    """Whether it can be called as it is; an `init_weights` is often a function of a module, for `apply`."""
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    return True


def _with_constants(fresh: Tensor | None, constructed: Tensor | None) -> Tensor | None:
    """`fresh`, but for the elements that the constructor made equal; None: these are not all, and `fresh` is None."""
    if constructed is None:
        return fresh
    constructed = constructed.cpu()
    if fresh is None and constructed.numel() == 1:
        return constructed
    values, counts = constructed.unique(return_counts=True)
    # Random numbers of low precision may be equal by chance: a constant is a twentieth of the elements at least.
    stays = torch.isin(constructed, values[counts > max(1, constructed.numel() // 20)])
    if fresh is None:
        return constructed if bool(stays.all()) else None
    return torch.where(stays, constructed, fresh)


def _without_parametrizations(layer: nn.Module) -> nn.Module:
    """A copy whose parametrized weights are parameters again."""
    plain = copy.deepcopy(layer)
    # Not torch's remove_parametrizations, which changes the class, and the copies share that.
    names = [name for name, _ in plain.get_submodule("parametrizations").named_children()]
    values = {name: getattr(plain, name).detach().clone() for name in names}
    del plain.parametrizations
    plain.__class__ = type(layer).__bases__[0]
    for name, value in values.items():
        plain.register_parameter(name, nn.Parameter(value))
    return plain


def _parametrized(net: nn.Module, path: str, draw: Draw, seed: int, *purpose: str | int) -> dict[str, Tensor]:
    """Fresh values of a parametrization's parameters and buffers, by their full names."""
    layer_path, _, own = path.rpartition(".parametrizations.")
    twin = copy.deepcopy(net.get_submodule(layer_path)).cpu()
    plain, name = _without_parametrizations(twin), f"{layer_path}.{own}"
    weight = draw(plain, own, plain.get_parameter(own), name)
    if weight is None:
        weight = _reset_module(plain, [own], seed, *purpose, layer_path).get(own)
    if weight is None:
        raise ConfigError(f"no fresh values are known for {name}: its module needs a reset_parameters()")
    made = twin.get_submodule(f"parametrizations.{own}")
    with global_stream(seed, *purpose, path), torch.no_grad():
        try:
            setattr(twin, own, weight)
        except NotImplementedError:  # without an inverse torch begins with the layer's own weight
            made.get_parameter("original").copy_(weight)
        except Exception as error:
            raise ConfigError(f"{name} is parametrized, and its parametrization has no right_inverse") from error
        twin.train()
        for _ in range(_POWER_ITERATIONS):
            getattr(twin, own)
    found: Mapping[str, Tensor] = {**dict(made.named_parameters()), **dict(made.named_buffers())}
    return {f"{path}.{part}": value.detach() for part, value in found.items()}
