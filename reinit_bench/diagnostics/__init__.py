"""Diagnostics: what Section 4 looks at in a trained network, and how well it can still learn.

A diagnostic is a module of this package that defines `measure(net, task, seed)`, for the end of a run, or
`measure_round(net, task, seed, initial)`, for the end of every round, where `initial` are the parameters' values before
all training. Both yield (name, value) pairs; a new file is found automatically. The network is in evaluation mode (no
dropout; lambdas as they are), no gradients are kept, and the arithmetic is fp32 whatever precision trained it. A
diagnostic leaves the weights as it found them.

Nothing is measured if the configuration says `diagnostics=false`. Nothing here can change a run's result or lose it.
"""

from __future__ import annotations

import pkgutil
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reinit_bench.data.task import Task
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.store.files import StoreError
from reinit_bench.store.store import RunFolder

Measure = Callable[[BlockNet, Task, int], Iterable[tuple[str, Any]]]
"""Yields names and values (numbers, arrays or tensors) for a trained network, its task and the run's seed."""


def found(function: str = "measure") -> dict[str, Callable[..., Iterable[tuple[str, Any]]]]:
    """All diagnostics that define this function, by name."""
    modules = {module.name: import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)}
    return {name: getattr(module, function) for name, module in modules.items() if hasattr(module, function)}


def after_round(net: BlockNet, task: Task, seed: int, initial: Mapping[str, Tensor]) -> dict[str, float | None]:
    """What is measured after a round, `<diagnostic>.<name>`, for its row in `rounds.jsonl`; null is not a number.

    Never raises: what fails is a warning.
    """
    measures: dict[str, Measure] = {
        name: partial(measure, initial=initial) for name, measure in found("measure_round").items()
    }
    values, failures = diagnose(measures, net, task, seed)
    for failure in failures:
        warnings.warn(f"a round lacks a diagnostic, the result is not affected: {failure}", stacklevel=2)
    return {name: float(value) if np.isfinite(value) else None for name, value in values.items()}


def write_diagnostics(folder: RunFolder, net: BlockNet, task: Task, seed: int) -> None:
    """Measure everything and write `diagnostics.npz` into the run's folder.

    The names in the file are `<diagnostic>.<name>`; `failures` holds a line for each diagnostic that failed, which is
    also a warning. Never raises: a trained run is not lost because of a measurement.
    """
    values, failures = diagnose(found(), net, task, seed)
    try:
        folder.write_diagnostics({**values, "failures": np.array(failures, dtype=np.str_)})
    except StoreError as error:
        failures.append(str(error))
    for failure in failures:
        warnings.warn(f"run {folder.run_id} lacks a diagnostic, its result is not affected: {failure}", stacklevel=2)


@torch.no_grad()
def diagnose(
    diagnostics: Mapping[str, Measure], net: BlockNet, task: Task, seed: int
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The diagnostics' values, as arrays named `<diagnostic>.<name>`, and a line for each diagnostic that failed."""
    values: dict[str, np.ndarray] = {}
    failures: list[str] = []
    was_training = net.training
    net.eval()
    for diagnostic, measure in diagnostics.items():
        try:
            measured = {f"{diagnostic}.{name}": _array(value) for name, value in measure(net, task, seed)}
        except Exception as error:
            failures.append(f"{diagnostic}: {type(error).__name__}: {' '.join(str(error).split())}")
        else:
            values.update(measured)
    net.train(was_training)
    return values, failures


def _array(value: Any) -> np.ndarray:
    array = np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
    if array.dtype.hasobject:
        raise TypeError(f"a diagnostic yields numbers or text; got {type(value).__name__}")
    return array
