"""What a setting is called in tables, figures and the report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame.settings import (
    PAPER,
    REPEATS,
    SWITCHES,
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
    told: list[list[str]] = [[] for _ in range(len(runs))]
    for column in settings:
        if column not in (*_GROUP, "method") and column in runs:
            values = runs[column].astype(object).where(runs[column].notna(), None)
            for row in _is_told(runs, column, values).to_numpy().nonzero()[0]:
                told[row].append(f"{setting_name(column)}={typed(values.iloc[row])}")
    return [", ".join(words) for words in told]


def _is_told(runs: pd.DataFrame, column: str, values: pd.Series) -> pd.Series:
    """Which rows need this setting to be told from others of their dataset and model.

    A method's own setting varies only where one method has it at two values: that another method has no such setting
    is no difference between settings. Any other setting varies for all methods at once.
    """
    own = is_method_setting(column)
    # A changed method is told also where it is not trained as it is.
    changed = runs["changed"].map(lambda columns: own and column != REPEATS and column in columns).astype(bool)
    if values.nunique(dropna=False) < 2:
        return changed
    groups = [runs[name] for name in _GROUP]
    by_setting = values.groupby([*groups, runs["method"]] if own else groups, dropna=False)
    varies = by_setting.transform("nunique", dropna=False) > 1
    if not own:  # without a value a run has what the setting's absence means, which is the paper's
        return varies & ~((values == PAPER[column]) | values.isna()) if column in PAPER else varies
    usual = {name: {**PAPER, **method_defaults(name)} for name in runs["method"].unique()}
    others = [
        column not in usual[method] or value != usual[method][column]
        for method, value in zip(runs["method"], values, strict=True)
    ]
    somewhere = varies.groupby(groups, dropna=False).transform("any")
    return changed | (somewhere & (values.notna() | varies) & pd.Series(others, runs.index, dtype=bool))


def norms_of(runs: pd.DataFrame) -> pd.Series:
    """Each row's `model.norm`; a run without the setting has the paper's."""
    usual = str(PAPER["model.norm"])
    return runs["model.norm"].fillna(usual) if "model.norm" in runs else pd.Series(usual, index=runs.index)


def natural(text: str) -> tuple[str | float, ...]:
    """A key that compares the numbers in texts as numbers: 32 comes before 128."""
    pieces = re.split(r"(\d+(?:\.\d+)?)", text)
    return tuple(float(piece) if index % 2 else piece for index, piece in enumerate(pieces))
