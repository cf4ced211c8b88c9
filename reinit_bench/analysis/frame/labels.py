"""What a setting is called in tables, figures and the report."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame.settings import (
    PAPER,
    REPEATS,
    SWITCHES,
    as_dicts,
    is_method_setting,
    method_defaults,
    setting_name,
)

VARIANTS: Mapping[str, str] = {
    "bl": "BL",
    "lw": "LW",
    "lw reinitialize": "−reinit",
    "lw rescale": "−rescale",
    "lw normalize": "−norm",
    "lw freeze": "+freeze",
}
"""Appendix F's variants with their headings; LW is followed by the switches that are not at their defaults."""

NORMS: Mapping[str, str] = {"group": "", "none": " without norm", "batch": " with BatchNorm"}
"""What is said behind a model's name, by `model.norm`."""

PLAIN = "no augmentation"
"""The condition without augmentation and dropout."""

_GROUP = ("dataset_label", "train_examples", "model")


def typed(value: Any) -> str:
    """A setting's value as a user types it: `true`, `64`, `0.25`, `mild`, `null`."""
    if value is None:
        return "null"
    if pd.api.types.is_bool(value):
        return str(bool(value)).lower()
    if pd.api.types.is_float(value) and float(value).is_integer():
        return str(int(value))
    return str(value)


def assignments(run: Mapping[Any, Any], columns: Iterable[str]) -> list[str]:
    """These settings of a run as a user types them: `model.width=0.25`."""
    return [f"{setting_name(column)}={typed(run[column])}" for column in columns]


def plural(count: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def dataset_label(label: str, train_examples: float | None) -> str:
    """A dataset with the number of training examples where that was cut: `DIGITS (200)`."""
    cut = train_examples is not None and not pd.isna(train_examples)
    return f"{label} ({train_examples:.0f})" if cut else label


def condition_label(augmentation: str, dropout_rate: float) -> str:
    """A condition as the report's filters name it: `mild augmentation, dropout 0.25`, `randaugment`."""
    words = PLAIN if augmentation == "none" else augmentation
    if "augment" not in words:
        words += " augmentation"
    return f"{words}, dropout {dropout_rate:g}" if dropout_rate > 0 else words


def condition_title(runs: pd.DataFrame) -> str:
    """The condition and the number of seeds of these runs, for a figure's title."""
    conditions = runs[["augmentation", "dropout_rate", "initializer"]].drop_duplicates()
    seeds = plural(runs["seed"].nunique(), "seed")
    if len(conditions) > 1:
        return f"conditions differ, {seeds}"
    augmentation, rate, initializer = conditions.iloc[0]
    words = [
        "no augmentation" if augmentation == "none" else f"augmentation {augmentation}",
        f"dropout {rate:g}" if rate else "no dropout",
        *([] if initializer == "he_normal" else [str(initializer)]),
    ]
    return f"{', '.join(words)}, {seeds}"


def variant(run: Mapping[str, Any], changed: Sequence[str]) -> str:
    """The method of a run, and those of its own settings that are `changed`, but for `repeats`.

    `llf first_block=3`, as typed; `lw freeze` where nothing but Appendix F's switches are changed; `llf` at its
    defaults.
    """
    told = [column for column in changed if column != REPEATS]
    words = assignments(run, told)
    if run["method"] == "lw" and set(told) <= SWITCHES.keys():
        words = [column for column in SWITCHES if column in told]
    return " ".join([run["method"], *(word.removeprefix("method.") for word in words)])


def variant_label(name: str, labels: Mapping[str, str]) -> str:
    """A variant's heading; of a method at its defaults that in `labels`.

    One of LW with several of Appendix F's switches changed has the headings of all of them.
    """
    known = {**labels, **VARIANTS}
    if name in known or "=" in name:
        return known.get(name, name)
    method, *switches = name.split()
    return " ".join(VARIANTS[f"{method} {switch}"] for switch in switches)


def distinguishing_settings(runs: pd.DataFrame, settings: Sequence[str]) -> list[str]:
    """For each row, what distinguishes its settings from those of other runs of the same dataset and model.

    These are the settings that vary there and that are not at the paper's value or at their method's default, as typed:
    `image_size=64, precision=bf16`; empty text where there is none. `settings` are the columns that tell experiments
    apart.
    """
    # Most settings are the same in all runs; only the others can distinguish runs of one dataset and model.
    named = ("train_examples", "model", "method")
    candidates = [name for name in settings if name not in named and runs[name].nunique(dropna=False) > 1]
    own = [name for name in settings if is_method_setting(name) and name != REPEATS and name in runs]
    # Plain dicts: pandas would take a millisecond for each of some thousand small questions.
    rows = as_dicts(runs[list(dict.fromkeys([*_GROUP, "method", "changed", *candidates, *own]))])
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in _GROUP)].append(row)
    varying = {key: _varying(group, candidates) for key, group in groups.items()}
    usual = {method: {**PAPER, **method_defaults(method)} for method in {row["method"] for row in rows}}
    found = []
    for row in rows:
        told = _told_apart_by(row, varying[tuple(row[name] for name in _GROUP)], usual[row["method"]])
        # A changed method is told also where it is not trained as it is.
        told += [column for column in row["changed"] if column in own and column not in told]
        found.append(", ".join(assignments(row, sorted(told, key=list(settings).index))))
    return found


def _varying(group: Sequence[Mapping[str, Any]], candidates: Sequence[str]) -> dict[str, set[str]]:
    """The settings that vary within the group, each with the methods within which it does.

    A method's own setting varies only where one method has it at two values: that another method has no such setting
    is no difference between settings. Any other setting varies for all methods at once.
    """
    found: dict[str, set[str]] = {}
    for name in candidates:
        values: dict[str, set[Any]] = defaultdict(set)
        for run in group:
            values[run["method"]].add(run[name])
        if is_method_setting(name):
            within = {method for method, given in values.items() if len(given) > 1}
        else:
            within = set(values) if len(set().union(*values.values())) > 1 else set()
        if within:
            found[name] = within
    return found


def _told_apart_by(run: Mapping[str, Any], varying: Mapping[str, set[str]], usual: Mapping[str, Any]) -> list[str]:
    """Each varying setting that is not at its usual value; a method without this setting stays with those that are.

    A run has no value where it is at that of a field's absence (see `core.config`), which is the paper's.
    """
    return [
        column
        for column, methods in varying.items()
        if not (column in usual and run[column] == usual[column])
        and not (column in PAPER and run[column] is None and not is_method_setting(column))
        and (run[column] is not None or run["method"] in methods)
    ]


def norms_of(runs: pd.DataFrame) -> pd.Series:
    """Each row's `model.norm`; a run without the setting has the paper's."""
    usual = str(PAPER["model.norm"])
    return runs["model.norm"].fillna(usual) if "model.norm" in runs else pd.Series(usual, index=runs.index)


def natural(text: str) -> tuple[str | float, ...]:
    """A key that compares the numbers in texts as numbers: 32 comes before 128."""
    pieces = re.split(r"(\d+(?:\.\d+)?)", text)
    return tuple(float(piece) if index % 2 else piece for index, piece in enumerate(pieces))
