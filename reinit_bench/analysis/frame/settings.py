"""Settings as columns of the frame: their names, and how far a run's are from the paper's or its method's defaults.

A setting is different where the run has it at another value than the reference. A run that has no such setting, or has
it at null, is not different in it: the setting belongs to another method or model, or the run is older than the field.
"""

from __future__ import annotations

import json
from collections.abc import Collection as Container
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.methods import method_file

SHORT_NAMES: Mapping[str, str] = {
    "dataset.name": "dataset",
    "dataset.train_examples": "train_examples",
    "model.name": "model",
    "model.width": "width",
    "method.name": "method",
    "augmentation.name": "augmentation",
    "dropout.name": "dropout",
    "dropout.rate": "dropout_rate",
    "initializer.name": "initializer",
}
"""Settings whose column has a shorter name than the one that users type; every other column is named as typed."""

_LONG_NAMES = {short: long for long, short in SHORT_NAMES.items()}

PAPER: Mapping[str, Any] = {SHORT_NAMES.get(name, name): value for name, value in paper.SETTINGS.items()}
"""The paper's settings by the columns of the frame."""

SWITCHES: Mapping[str, bool] = {
    name: PAPER[name] for name in ("method.rescale", "method.normalize", "method.reinitialize", "method.freeze")
}
"""The parts of LW at their defaults; a run with another value of one of them is Appendix F's ablation and not LW."""

REPEATS = "method.repeats"
"""The paper's N, which every method has: how often its rounds are gone through, not which method it is."""


def setting_name(column: str) -> str:
    """The name that users type for a column of the frame: `width` is `model.width`."""
    return _LONG_NAMES.get(column, column)


def is_method_setting(column: str) -> bool:
    """Whether the column is a method's own setting, such as `method.fraction`."""
    return column.startswith("method.")


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values; null means the same as absence, and a list becomes its JSON text, fit for grouping."""
    for key, value in tree.items():
        if isinstance(value, dict):  # read from JSON; asking for a Mapping takes five times as long
            yield from leaves(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", json.dumps(value) if isinstance(value, (list, tuple)) else value


def as_dicts(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain dicts, None in place of NaN; several times faster than pandas' own, which boxes each value."""
    columns = [runs[name].astype(object).where(runs[name].notna(), None).tolist() for name in runs]
    return [dict(zip(runs.columns, values, strict=True)) for values in zip(*columns, strict=True)]


def different(runs: pd.DataFrame, reference: Mapping[str, Any]) -> pd.DataFrame:
    """For each row and each column of `reference` that the runs have, whether the row is different in it."""
    found = {name: runs[name].notna() & (runs[name] != value) for name, value in reference.items() if name in runs}
    return pd.DataFrame(found, index=runs.index, dtype=bool)


def without_difference(runs: pd.DataFrame, reference: Mapping[str, Any]) -> pd.DataFrame:
    """The rows that are different in nothing."""
    return runs[~different(runs, reference).any(axis=1)]


def distance_from_paper(runs: pd.DataFrame, but: Container[str] = ()) -> pd.Series:
    """How many of each row's settings are not the paper's, a method's own and those in `but` not counted."""
    counted = {name: value for name, value in PAPER.items() if name not in but and not is_method_setting(name)}
    return different(runs, counted).sum(axis=1).astype(int)


def own_changes(runs: pd.DataFrame) -> pd.Series:
    """For each row, the columns of its method's own settings that are not at the method's defaults.

    Of a method whose option file is not known, what most of these runs have stands for the default.
    """
    found: dict[Any, tuple[str, ...]] = dict.fromkeys(runs.index, ())
    for method, own in runs.groupby("method"):
        for column, default in (method_defaults(str(method)) or _usual(own)).items():
            for index in own.index[_changed(own[column], default)] if column in own else []:
                found[index] = (*found[index], column)
    return pd.Series(found, index=runs.index, dtype=object)


def method_defaults(method: str) -> Mapping[str, Any]:
    """The settings of a method's option file by column, None for null; none where there is no such file."""
    own = {key: value for key, value in method_file(method).items() if not key.startswith("_") and key != "name"}
    return {f"method.{key}": None for key in own} | dict(leaves(own, "method."))


def _usual(runs: pd.DataFrame) -> Mapping[str, Any]:
    """The most frequent value of each of a method's own settings, None for null."""
    own = [name for name in map(str, runs) if is_method_setting(name) and runs[name].notna().any()]
    usual = {name: runs[name].value_counts(dropna=False).idxmax() for name in own}
    return {name: value if _is_set(value) else None for name, value in usual.items()}


def _changed(values: pd.Series, default: Any) -> pd.Series:
    """Which values are not the default; null counts where other runs have the default: it is not their absence."""
    same = values.eq(default) if default is not None else pd.Series(False, index=values.index)
    return ~same & (values.notna() | bool(same.any()))


def _is_set(value: Any) -> bool:
    return value is not None and value == value  # NaN is not equal to itself
