"""How far a run's settings are from the paper's or from its method's defaults.

A setting is different where the run has it at another value than the reference. A run that has no such setting, or has
it at null, is not different in it: the setting belongs to another method or model, or the run is older than the field.
"""

from __future__ import annotations

from collections.abc import Collection as Container
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from reinit_bench.analysis.runs import paper
from reinit_bench.analysis.runs.collect import SHORT_NAMES, Collection, is_method_setting, leaves
from reinit_bench.core.conf_dir import option_file

PAPER: Mapping[str, Any] = {SHORT_NAMES.get(name, name): value for name, value in paper.SETTINGS.items()}
"""The paper's settings by the columns of a collection's frame."""

SWITCHES: Mapping[str, bool] = {
    name: PAPER[name] for name in ("method.rescale", "method.normalize", "method.reinitialize", "method.freeze")
}
"""The parts of LW at their defaults; a run with another value of one of them is Appendix F's ablation and not LW."""

REPEATS = "method.repeats"
"""The paper's N, which every method has: how often its rounds are gone through, not which method it is."""

_SHARED = {column: value for column, value in PAPER.items() if not is_method_setting(column)}


def different(run: Mapping[Any, Any] | pd.Series, reference: Mapping[str, Any]) -> list[str]:
    """The columns of `reference` in which the run is different."""
    return [name for name, value in reference.items() if _is_set(run.get(name)) and run[name] != value]


def from_paper(run: Mapping[Any, Any] | pd.Series, but: Container[str] = ()) -> int:
    """How many settings are not the paper's, a method's own and those in `but` not counted."""
    return len(different(run, {column: value for column, value in _SHARED.items() if column not in but}))


def from_defaults(run: Mapping[Any, Any]) -> int:
    """How many of its method's own settings are not the method's defaults."""
    return len(different(run, method_defaults(run["method"])))


def without_difference(runs: pd.DataFrame, reference: Mapping[str, Any]) -> pd.DataFrame:
    """The rows that are different in nothing."""
    for column, value in reference.items():
        if column in runs:
            runs = runs[runs[column].isna() | (runs[column] == value)]
    return runs


@lru_cache(maxsize=4)  # most figures ask for them
def default_image_runs(collection: Collection) -> pd.DataFrame:
    """The runs on images whose method is as its option file has it: no ablation, no other interpretation."""
    frame = collection.frame[collection.frame["image_size"].notna()]
    return frame[own_changes(frame).map(len).eq(0)]


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
    path = option_file("method", method)
    return _defaults_in(path) if path else {}


@cache
def _defaults_in(path: Path) -> Mapping[str, Any]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    own = {key: value for key, value in content.items() if not key.startswith("_") and key != "name"}
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
