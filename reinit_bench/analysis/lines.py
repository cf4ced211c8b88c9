"""Runs grouped into the lines of a table: one line per dataset, model and settings; seeds averaged, nothing else."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from reinit_bench.analysis import paper
from reinit_bench.analysis.collect import records, setting_name

_METHOD = "method."


@dataclass(frozen=True)
class Summary:
    """Test accuracy over `n` seeds in percent; `std` is the sample standard deviation (n - 1), None for one seed."""

    n: int
    mean: float
    std: float | None


@dataclass(frozen=True)
class Line:
    """The runs of one dataset and model that agree in all settings but the method's own and the seed.

    Attributes:
        dataset: its label, with the number of training examples where that was cut: `DIGITS (200)`.
        model: its name.
        label: its name with the settings that tell this line from others of the same model: `scnn [image_size=64]`.
        in_paper: the paper's label of the same dataset, None where the paper has no counterpart.
        methods: by name.
    """

    dataset: str
    model: str
    label: str
    in_paper: str | None
    methods: dict[str, Summary] = field(default_factory=dict)


def lines(runs: pd.DataFrame, settings: Sequence[str]) -> list[Line]:
    """Group `runs` (rows of a collection's frame) into lines in the paper's order, all others after, alphabetically.

    `settings` are the columns that tell two experiments apart.
    """
    if runs.empty:
        return []
    examples = runs["train_examples"].astype(float).fillna(0).astype(int)
    labelled = runs.assign(examples=examples)
    labelled["label"] = labels(labelled, settings)
    keys = ["dataset_label", "examples", "model", "label", "method"]
    summaries = labelled.groupby(keys)["test_accuracy"].agg(["size", "mean", "std"]).mul([1, 100, 100])
    found: dict[tuple[str, int, str, str], Line] = {}
    for (dataset, cut, model, label, method), (n, mean, std) in zip(summaries.index, summaries.to_numpy(), strict=True):
        line = found.setdefault((dataset, cut, model, label), _line(dataset, cut, model, label))
        line.methods[method] = Summary(int(n), float(mean), None if math.isnan(std) else float(std))
    return [found[key] for key in sorted(found, key=_position)]


def _line(dataset: str, examples: int, model: str, label: str) -> Line:
    known = dataset in paper.DATASETS and not examples
    return Line(f"{dataset} ({examples})" if examples else dataset, model, label, dataset if known else None)


def _position(key: tuple[str, int, str, str]) -> tuple[Any, ...]:
    dataset, examples, model, label = key
    # 32 before 128: the numbers in a label are compared as numbers.
    pieces = re.split(r"(\d+(?:\.\d+)?)", label)
    natural = tuple(float(piece) if index % 2 else piece for index, piece in enumerate(pieces))
    place = _rank(dataset, paper.DATASETS), dataset, examples, _rank(model, paper.MODELS), model
    # The line nearest to the paper's settings comes first: it has the fewest settings to tell.
    return *place, label.count("="), natural


def _rank(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)


def labels(runs: pd.DataFrame, settings: Sequence[str]) -> list[str]:
    """Each run's model with what tells its settings from those of other runs of the same dataset and model.

    `runs` has one more column than a collection's frame: `examples`, the number to which training was cut, or 0.
    """
    keys = ("dataset_label", "examples", "model")
    # Most settings are the same in all runs; only the others can tell runs of one dataset and model apart.
    told = ("train_examples", "model", "method")
    candidates = [name for name in settings if name not in told and runs[name].nunique(dropna=False) > 1]
    # Plain dicts: pandas would take a millisecond for each of some thousand small questions.
    told_by = records(runs[[*keys, "method", *candidates]])
    groups: dict[tuple[Any, ...], list[Mapping[Any, Any]]] = defaultdict(list)
    for run in told_by:
        groups[tuple(run[key] for key in keys)].append(run)
    varying = {key: _varying(group, candidates) for key, group in groups.items()}
    return [_label(run, varying[tuple(run[key] for key in keys)]) for run in told_by]


def _varying(group: Sequence[Mapping[Any, Any]], candidates: Sequence[str]) -> dict[str, set[str]]:
    """The settings that vary within the group, each with the methods within which it does.

    A method's own setting varies only where one method has it at two values: that another method has no such setting
    is no difference between settings. Any other setting varies for all methods at once.
    """
    found: dict[str, set[str]] = {}
    for name in candidates:
        values: dict[str, set[Any]] = defaultdict(set)
        for run in group:
            values[run["method"]].add(run[name])
        if name.startswith(_METHOD):
            within = {method for method, given in values.items() if len(given) > 1}
        else:
            within = set(values) if len(set().union(*values.values())) > 1 else set()
        if within:
            found[name] = within
    return found


def _label(run: Mapping[Any, Any], varying: Mapping[str, set[str]]) -> str:
    """The model's name, and in brackets each varying setting that is not at the paper's value."""
    words = []
    for column, methods in varying.items():
        name, value = setting_name(column), run[column]
        if value is None:
            # A method without this setting stays on the line of the paper's value.
            words += [f"{name}=null"] if run["method"] in methods else []
        elif name not in paper.SETTINGS or value != paper.SETTINGS[name]:
            words.append(f"{name}={typed(value)}")
    return f"{run['model']} [{', '.join(words)}]" if words else str(run["model"])


def typed(value: Any) -> str:
    """A setting's value as a user types it: `true`, `64`, `0.25`, `mild`."""
    if pd.api.types.is_bool(value):
        return str(bool(value)).lower()
    if pd.api.types.is_float(value) and float(value).is_integer():
        return str(int(value))
    return str(value)
