"""What the conclusions are drawn from: one row per setting, one column per method, seeds averaged.

A setting is a dataset, an architecture, a condition (augmentation, dropout), an initializer and whatever else is not
the method's own; it is the unit of Table 3's tests, of Figure 3's tree and of the ranks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import pandas as pd

from reinit_bench.analysis import paper
from reinit_bench.analysis.collect import SHORT_NAMES, Collection, records, setting_name
from reinit_bench.analysis.method_defaults import method_defaults

DESIGN = ("dataset", "examples", "model", "augmentation", "dropout_rate", "initializer")
"""What the paper varies. `dataset` is its label, with the number of training examples where that was cut."""

INITIALIZERS = ("he_normal", "xavier_uniform")
"""The two of Table 3."""

ALL = "all"
"""In place of an architecture: every one of them."""

SWITCHES = ("method.rescale", "method.normalize", "method.reinitialize", "method.freeze")
"""The parts of LW; a run with one of them off its default is Appendix F's and not LW."""

_NEEDED = ("dataset_label", "train_examples", "dataset.num_classes", "method", "test_accuracy", *DESIGN[2:])
"""Columns of a collection without which a setting cannot be told."""

_DIGITS = (1297, 10)
"""Training examples and classes of scikit-learn's digits, which the paper has not."""

Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """Test accuracies by setting.

    Attributes:
        frame: the columns of DESIGN, `classes` (NaN where unknown, as `examples`), and one column per method: the mean
            test accuracy over seeds in percent, NaN where there is no run.
        methods: name and label, in the paper's order, a user's own after; those without any run are not among them.
        left_out: sentences on runs that are no part of this.
    """

    frame: pd.DataFrame
    methods: Mapping[str, str]
    left_out: tuple[str, ...] = ()

    @property
    def complete(self) -> pd.DataFrame:
        """The settings in which every method has a run."""
        return self.frame.dropna(subset=list(self.methods))

    def common(self) -> Outcomes:
        """Without methods that have a run in less than half as many settings as the method with the most.

        Where all methods must be complete, a method that was only tried out must not take the others' settings away.
        """
        counts = {name: int(self.frame[name].notna().sum()) for name in self.methods}
        rare = [name for name, count in counts.items() if 2 * count < max(counts.values())]
        methods = {name: label for name, label in self.methods.items() if name not in rare}
        said = [f"left out: {self.methods[name]}, which has runs in few settings only" for name in rare]
        return Outcomes(frame=self.frame.drop(columns=rare), methods=methods, left_out=(*self.left_out, *said))


@lru_cache(maxsize=4)  # several tables and figures ask for the same
def outcomes(collection: Collection, *, every_setting: bool = False) -> Outcomes:
    """The runs on images at full LW, grouped into settings.

    Without `every_setting`, only Table 3's: the conditions of Tables 2, 6 and 7 with both initializers, and of runs
    that differ in anything else (Figure 2's learning rates) those whose settings are nearest to the paper's.
    """
    frame = collection.frame
    runs = frame[frame["image_size"].notna()]
    for switch in SWITCHES:
        if switch in runs:
            runs = runs[runs[switch].isna() | (runs[switch] == paper.SETTINGS[switch])]
    if not every_setting:
        runs = runs[_in_conditions(runs) & runs["initializer"].isin(INITIALIZERS)]
    labels = dict(zip(runs["method"], runs["method_label"], strict=True))
    found, tied = _by_setting(runs, collection.settings)
    rows = found if every_setting else _nearest(found)
    order = [name for name in paper.LETTERS if name in labels] + sorted(set(labels) - set(paper.LETTERS))
    said = _said(len(found) - len(rows), tied)
    table = pd.DataFrame([{**row.design, **row.accuracies} for row in rows], columns=[*DESIGN, "classes", *order])
    return Outcomes(frame=table, methods={name: labels[name] for name in order}, left_out=said)


@dataclass(frozen=True)
class _Setting:
    """One setting: what DESIGN says of it, how many settings are not the paper's, percent by method."""

    design: Mapping[str, Any]
    distance: int
    accuracies: dict[str, float]


def _in_conditions(runs: pd.DataFrame) -> pd.Series:
    wanted = {(condition.augmentation, condition.dropout_rate) for condition in paper.CONDITIONS.values()}
    pairs = zip(runs["augmentation"], runs["dropout_rate"], strict=True)
    return pd.Series([pair in wanted for pair in pairs], index=runs.index, dtype=bool)


def _by_setting(runs: pd.DataFrame, settings: Sequence[str]) -> tuple[list[_Setting], int]:
    """Every setting in the paper's order, and how many of a method's variants were tied and therefore not used."""
    varying = [name for name in settings if name in runs and runs[name].nunique(dropna=False) > 1]
    own = [name for name in varying if name.startswith("method.")]
    shared = [name for name in varying if name not in own and name != "method"]
    # What is the same in all runs cannot make one variant or setting nearer than another.
    columns = list(dict.fromkeys(name for name in (*_NEEDED, *varying) if name in runs))
    groups: dict[tuple[Any, ...], dict[str, dict[tuple[Any, ...], list[Record]]]] = {}
    for run in records(runs[columns]):
        key = (run["dataset_label"], *(run[name] for name in shared))
        variants = groups.setdefault(key, {}).setdefault(run["method"], defaultdict(list))
        variants[tuple(run[name] for name in own)].append(run)
    tied, found = 0, []
    for methods in groups.values():
        chosen = {name: _default(name, list(variants.values())) for name, variants in methods.items()}
        tied += sum(seeds is None for seeds in chosen.values())
        accuracies = {name: _percent(seeds) for name, seeds in chosen.items() if seeds}
        first = next(run for variants in methods.values() for seeds in variants.values() for run in seeds)
        if accuracies:
            found.append(_Setting(_design(first), _distance(first), accuracies))
    return sorted(found, key=_place), tied


def _default(method: str, variants: list[list[Record]]) -> list[Record] | None:
    """The seeds of the variant with the fewest settings that are not the method's defaults; None where two have."""
    if len(variants) == 1:
        return variants[0]
    known = method_defaults(method)
    unlike = [sum(seeds[0].get(name) != value for name, value in known.items()) for seeds in variants]
    least = min(unlike)
    return variants[unlike.index(least)] if unlike.count(least) == 1 else None


def _percent(seeds: Sequence[Record]) -> float:
    # Rounded far below what any test set can resolve, so that equal accuracies compare as equal.
    return round(100 * sum(run["test_accuracy"] for run in seeds) / len(seeds), 6)


def _design(run: Record) -> dict[str, Any]:
    label, cut = run["dataset_label"], run.get("train_examples")
    size, classes = _facts(label)
    return {
        "dataset": f"{label} ({int(cut)})" if cut else label,
        "examples": float(cut) if cut else size,
        "classes": run.get("dataset.num_classes") or classes,
        **{name: run[name] for name in DESIGN[2:]},
    }


@cache
def _facts(label: str) -> tuple[float | None, float | None]:
    """Training examples and classes of a dataset of Table 5 or of the digits."""
    table = paper.published(5)
    known = {name: (train, classes) for name, train, _, classes in table.itertuples(index=False, name=None)}
    return known.get(label) or (_DIGITS if label == "DIGITS" else (None, None))


def _distance(run: Record) -> int:
    """How many settings outside the design are not the paper's."""
    return sum(
        run[column] != paper.SETTINGS[setting_name(column)]
        for column in (SHORT_NAMES.get(name, name) for name in paper.SETTINGS)
        if not column.startswith("method.") and run.get(column) is not None
    )


def _nearest(found: Sequence[_Setting]) -> list[_Setting]:
    """Of settings with the same design those nearest to the paper's; several where they are equally near."""
    least: dict[tuple[Any, ...], int] = {}
    for one in found:
        key = tuple(one.design[name] for name in DESIGN)
        least[key] = min(one.distance, least.get(key, one.distance))
    return [one for one in found if one.distance == least[tuple(one.design[name] for name in DESIGN)]]


def _place(one: _Setting) -> tuple[Any, ...]:
    def rank(name: str, order: Sequence[str]) -> int:
        return order.index(name) if name in order else len(order)

    dataset, model = one.design["dataset"], one.design["model"]
    condition = one.design["augmentation"], one.design["dropout_rate"], one.design["initializer"]
    place = rank(dataset, paper.DATASETS), one.design["examples"] or 0.0, dataset, rank(model, paper.MODELS), model
    return *place, *map(str, condition), one.distance


def _said(further: int, tied: int) -> tuple[str, ...]:
    said = []
    if further:
        said.append(
            f"left out: {further} settings farther from the paper's than another of the same design (Figure 2's)"
        )
    if tied:
        said.append(f"left out: {tied} times a method with several variants of its settings, none nearest its defaults")
    return tuple(said)
