"""Scores by setting, from which the conclusions are drawn: one row per setting, one column per method.

A setting is a dataset, an architecture, a condition (augmentation, dropout), an initializer and whatever else is not
the method's own; it is the unit of Table 3's tests, of Figure 3's tree and of the ranks. Its seeds are averaged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import pandas as pd

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import variant_label
from reinit_bench.analysis.frame.methods import PAPERS, method_order
from reinit_bench.analysis.frame.settings import SWITCHES, is_method_setting

DESIGN = ("dataset", "examples", "model", "augmentation", "dropout_rate", "initializer")
"""What the paper varies. `dataset` is its label, with the number of training examples where that was cut."""

ALL = "all"
"""In place of an architecture: every one of them."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Test accuracies by setting.

    Attributes:
        frame: the columns of DESIGN, `classes` (NaN where unknown, like `examples`), and one column per method: the
            mean test accuracy over seeds in percent, NaN where there is no run.
        methods: names and labels of the methods that have runs, in their order; one that ran with settings of its own
            changed is a method by its variant's name, `wels fraction=0.9`.
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
    switched = collection.images["changed"].map(lambda columns: not SWITCHES.keys().isdisjoint(columns)).astype(bool)
    runs = collection.images[(collection.images["method"] != "lw") | ~switched]
    if not every_setting:
        wanted = [(condition.augmentation, condition.dropout_rate) for condition in paper.CONDITIONS.values()]
        conditions = pd.MultiIndex.from_frame(runs[["augmentation", "dropout_rate"]])
        runs = runs[conditions.isin(wanted) & runs["initializer"].isin(paper.INITIALIZERS)]
    settings, tied = _settings(runs, collection.settings)
    labels = dict(zip(runs["method"], runs["method_label"], strict=True))
    variants = sorted(
        {*map(str, settings)} & {*runs["variant"]}, key=lambda name: (method_order(name.partition(" ")[0]), name)
    )
    methods = {name: variant_label(name, labels) for name in variants}
    least = settings.groupby(list(DESIGN), dropna=False)["distance"].transform("min")
    shown = settings if every_setting else settings[settings["distance"] == least]
    frame = shown.reindex(columns=[*DESIGN, "classes", *methods]).reset_index(drop=True)
    return Scores(frame=frame, methods=methods, left_out=_left_out(len(settings) - len(shown), tied))


def _settings(runs: pd.DataFrame, settings: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """A row per setting in the paper's order, with the percent of each method's variant nearest to its defaults.

    Also how often a method had several that were equally near, of which none is taken.
    """
    varying = [name for name in settings if name in runs and runs[name].nunique(dropna=False) > 1]
    shared = [name for name in varying if name != "method" and not is_method_setting(name)]
    own = [name for name in varying if is_method_setting(name)]
    runs = runs.assign(
        setting=runs.groupby(["dataset_label", *shared], sort=False, dropna=False).ngroup(),
        changes=runs["changed"].map(len).astype(int),
    )
    seeds = runs.groupby(["setting", "method", *own], sort=False, dropna=False)
    variants = seeds.agg({"test_accuracy": "mean", "changes": "first", "variant": "first"}).reset_index()
    nearest = variants[variants["changes"] == variants.groupby(["setting", "method"])["changes"].transform("min")]
    is_tied = nearest.duplicated(["setting", "method"], keep=False)
    # Rounded far below what any test set can resolve, so that equal accuracies compare as equal.
    percent = nearest[~is_tied].assign(percent=lambda one: (100 * one["test_accuracy"]).round(6))
    accuracies = percent.pivot(index="setting", columns="variant", values="percent")
    design = _design(runs.drop_duplicates("setting").set_index("setting"))
    return design.join(accuracies, how="inner"), len(nearest[is_tied].drop_duplicates(["setting", "method"]))


def _design(first: pd.DataFrame) -> pd.DataFrame:
    """The columns of DESIGN and `classes`, from a run of each setting."""
    facts = first["dataset_label"].map(lambda label: _facts().get(label, (float("nan"), float("nan"))))
    cut = first["train_examples"].astype(float)
    classes = first.get("dataset.num_classes", pd.Series(float("nan"), first.index)).astype(float)
    found = first.assign(
        dataset=first["dataset_shown"],
        examples=cut.fillna(facts.str[0].astype(float)),
        classes=classes.fillna(facts.str[1].astype(float)),
    )
    return found.sort_values(["order", *DESIGN[3:], "distance"], kind="stable")


@cache
def _facts() -> Mapping[str, tuple[float, float]]:
    """Training examples and classes of the datasets of Table 5, and of the digits."""
    rows = paper.published(5).itertuples(index=False, name=None)
    return {"DIGITS": (1297, 10), **{name: (train, classes) for name, train, _, classes in rows}}


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
