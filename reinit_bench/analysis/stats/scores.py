"""Scores by setting, from which the conclusions are drawn: one row per setting, one column per method.

A setting is a dataset, an architecture, a condition (augmentation, dropout), an initializer and whatever else is not
the method's own; it is the unit of Table 3's tests, of Figure 3's tree and of the ranks. Its seeds are averaged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import dataset_label
from reinit_bench.analysis.frame.methods import PAPERS, ordered_methods
from reinit_bench.analysis.frame.settings import SWITCHES, as_dicts, is_method_setting

DESIGN = ("dataset", "examples", "model", "augmentation", "dropout_rate", "initializer")
"""What the paper varies. `dataset` is its label, with the number of training examples where that was cut."""

ALL = "all"
"""In place of an architecture: every one of them."""

_NEEDED = (
    "dataset_label",
    "train_examples",
    "dataset.num_classes",
    "method",
    "test_accuracy",
    "distance",
    "changed",
    *DESIGN[2:],
)
"""Columns of a collection that define a setting."""

_DIGITS = (1297, 10)
"""Training examples and classes of scikit-learn's digits, a dataset that is not in the paper."""

Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Test accuracies by setting.

    Attributes:
        frame: the columns of DESIGN, `classes` (NaN where unknown, like `examples`), and one column per method: the
            mean test accuracy over seeds in percent, NaN where there is no run.
        methods: names and labels of the methods that have runs, in the order of `families`.
        left_out: sentences on runs that are no part of this.
    """

    frame: pd.DataFrame
    methods: Mapping[str, str]
    left_out: tuple[str, ...] = ()

    @property
    def complete(self) -> pd.DataFrame:
        """The settings in which every method has a run."""
        return self.frame.dropna(subset=list(self.methods))

    def of_paper(self) -> Scores:
        """The paper's methods alone: what it says is of these, whatever others there are."""
        others = [name for name in self.methods if name not in PAPERS]
        methods = {name: label for name, label in self.methods.items() if name in PAPERS}
        return Scores(frame=self.frame.drop(columns=others), methods=methods, left_out=self.left_out)

    def common(self) -> Scores:
        """Without methods that have a run in less than half as many settings as the method with the most.

        Where all methods must be complete, a method that was only tried out must not take the others' settings away.
        """
        counts = {name: int(self.frame[name].notna().sum()) for name in self.methods}
        rare = [name for name, count in counts.items() if 2 * count < max(counts.values())]
        methods = {name: label for name, label in self.methods.items() if name not in rare}
        notes = [f"left out: {self.methods[name]}, which has runs in few settings only" for name in rare]
        return Scores(frame=self.frame.drop(columns=rare), methods=methods, left_out=(*self.left_out, *notes))


def by_model(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The settings of all architectures (ALL) where there are several, then those of each one."""
    models = paper.ordered_models(frame["model"])
    if len(models) > 1:
        yield ALL, frame
    for model in models:
        yield model, frame[frame["model"] == model]


def is_best(frame: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Which methods are the best of each setting, alone or tied: True or False by setting and method."""
    accuracies = frame[list(methods)].round(6)
    return accuracies.eq(accuracies.max(axis=1), axis=0)


@lru_cache(maxsize=4)  # several tables and figures ask for the same
def scores_by_setting(collection: Collection, *, every_setting: bool = False) -> Scores:
    """The runs on images with no part of LW switched off, grouped into settings.

    Without `every_setting`, only Table 3's: the conditions of Tables 2, 6 and 7 with both initializers, and of runs
    that differ in anything else (Figure 2's learning rates) those whose settings are nearest to the paper's.
    """
    runs = _without_ablations(collection.images)
    if not every_setting:
        wanted = [(condition.augmentation, condition.dropout_rate) for condition in paper.CONDITIONS.values()]
        conditions = pd.MultiIndex.from_frame(runs[["augmentation", "dropout_rate"]])
        runs = runs[conditions.isin(wanted) & runs["initializer"].isin(paper.INITIALIZERS)]
    found, tied = _by_setting(runs, collection.settings)
    rows = found if every_setting else _nearest(found)
    labels = dict(zip(runs["method"], runs["method_label"], strict=True))
    methods = {name: labels[name] for name in ordered_methods(labels)}
    table = pd.DataFrame([{**row.design, **row.accuracies} for row in rows], columns=[*DESIGN, "classes", *methods])
    return Scores(frame=table, methods=methods, left_out=_left_out(len(found) - len(rows), tied))


def _without_ablations(runs: pd.DataFrame) -> pd.DataFrame:
    switched = runs["changed"].map(lambda columns: not SWITCHES.keys().isdisjoint(columns)).astype(bool)
    return runs[(runs["method"] != "lw") | ~switched]


@dataclass(frozen=True)
class _Setting:
    """One setting: what DESIGN says of it, how many settings are not the paper's, percent by method."""

    design: Mapping[str, Any]
    distance: int
    accuracies: dict[str, float]

    @property
    def key(self) -> tuple[Any, ...]:
        return tuple(self.design[name] for name in DESIGN)


def _by_setting(runs: pd.DataFrame, settings: Sequence[str]) -> tuple[list[_Setting], int]:
    """Every setting in the paper's order, and how many of a method's variants were tied and therefore not used."""
    varying = [name for name in settings if name in runs and runs[name].nunique(dropna=False) > 1]
    own = [name for name in varying if is_method_setting(name)]
    shared = [name for name in varying if name not in own and name != "method"]
    # What is the same in all runs cannot make one variant or setting nearer than another.
    columns = list(dict.fromkeys(name for name in (*_NEEDED, *varying) if name in runs))
    groups: dict[tuple[Any, ...], dict[str, dict[tuple[Any, ...], list[Record]]]] = {}
    for run in as_dicts(runs[columns]):
        key = (run["dataset_label"], *(run[name] for name in shared))
        variants = groups.setdefault(key, {}).setdefault(run["method"], defaultdict(list))
        variants[tuple(run[name] for name in own)].append(run)
    tied, found = 0, []
    for methods in groups.values():
        chosen = {name: _default_variant(list(variants.values())) for name, variants in methods.items()}
        tied += sum(seeds is None for seeds in chosen.values())
        accuracies = {name: _percent(seeds) for name, seeds in chosen.items() if seeds}
        first = next(run for variants in methods.values() for seeds in variants.values() for run in seeds)
        if accuracies:
            found.append(_Setting(_design(first), first["distance"], accuracies))
    return sorted(found, key=_place), tied


def _default_variant(variants: Sequence[list[Record]]) -> list[Record] | None:
    """The seeds of the variant nearest to its method's defaults; None where two are equally near."""
    if len(variants) == 1:
        return variants[0]
    distances = [len(seeds[0]["changed"]) for seeds in variants]
    nearest = min(distances)
    return variants[distances.index(nearest)] if distances.count(nearest) == 1 else None


def _percent(seeds: Sequence[Record]) -> float:
    # Rounded far below what any test set can resolve, so that equal accuracies compare as equal.
    return round(100 * sum(run["test_accuracy"] for run in seeds) / len(seeds), 6)


def _design(run: Record) -> dict[str, Any]:
    label, cut = run["dataset_label"], run.get("train_examples")
    size, classes = _facts(label)
    return {
        "dataset": dataset_label(label, cut),
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


def _nearest(found: Sequence[_Setting]) -> list[_Setting]:
    """Of settings with the same design those nearest to the paper's; several where they are equally near."""
    least: dict[tuple[Any, ...], int] = {}
    for one in found:
        least[one.key] = min(one.distance, least.get(one.key, one.distance))
    return [one for one in found if one.distance == least[one.key]]


def _place(one: _Setting) -> tuple[Any, ...]:
    """The paper's datasets in its order, all others by size, the smallest first."""
    rank, dataset = paper.order_key(one.design["dataset"], paper.DATASETS)
    condition = one.design["augmentation"], one.design["dropout_rate"], one.design["initializer"]
    model = paper.order_key(one.design["model"], paper.MODELS)
    return rank, one.design["examples"] or 0.0, dataset, *model, *map(str, condition), one.distance


def _left_out(further: int, tied: int) -> tuple[str, ...]:
    notes = []
    if further:
        notes.append(
            f"left out: {further} settings farther from the paper's than another of the same design (Figure 2's)"
        )
    if tied:
        notes.append(
            f"left out: {tied} times a method with several variants of its settings, none nearest its defaults"
        )
    return tuple(notes)
