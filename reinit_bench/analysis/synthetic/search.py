"""The search for what Table 4 leaves out: each combination of settings with its distance from the published values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reinit_bench.analysis.runs import paper
from reinit_bench.analysis.runs.collect import is_method_setting, records
from reinit_bench.analysis.synthetic.comparison import SETTINGS, root_mean_square, synthetic_runs

KINDS = ("baseline", "rescaling", "lw")
"""Table 4's columns; with its lambda layers the third is called `lw, lambda layers` here."""

SEARCH_SEEDS = frozenset(range(3))
"""The seeds of `study=table4_search`, by which a combination is chosen; runs of all other seeds judge it."""

_AXES = (
    "trainer.optimizer",
    "trainer.optimizer_between_rounds",
    "trainer.lr",
    "trainer.momentum",
    "model.hidden",
    "start",
    "steps",
    "trainer.batch_size",
    "train_examples",
)
"""Columns in which combinations differ, besides the penalty's form and the lambda layers; see `with_kinds`."""

_FREE = (*_AXES, "initializer", "trainer.weight_decay", "trainer.max_steps")
"""Settings of Table 1 that Table 4's runs need not share, besides the methods' own."""


@dataclass(frozen=True, kw_only=True)
class Combination:
    """One combination of what the paper leaves open.

    Attributes:
        optimizer: `trainer.optimizer`.
        between: `trainer.optimizer_between_rounds`.
        lr: learning rate.
        momentum: of SGD; it means nothing to other optimizers.
        hidden: units of the hidden layers, as typed.
        start: the initializer, with what is not at its default.
        steps: of all rounds together.
        batch: examples of one step.
        examples: training examples.
        form: of the penalty, `trainer.weight_decay_form`.
        lambdas: whether LW has its lambda layers.
        seeds: of `SEARCH_SEEDS`, the fewest of a cell.
        distance: root mean square difference from the paper over all 18 cells, in points (percent), on those seeds.
        without: the same over the three cells without a penalty.
        penalized: the same over the fifteen with one.
        judging_seeds: other seeds, the fewest of a cell.
        judged: the distance over all 18 cells on those; None where a cell has none.
    """

    optimizer: str
    between: str
    lr: float
    momentum: float
    hidden: str
    start: str
    steps: int
    batch: int
    examples: int
    form: str
    lambdas: bool
    seeds: int
    distance: float
    without: float
    penalized: float
    judging_seeds: int
    judged: float | None

    @property
    def training(self) -> str:
        """Optimizer, learning rate and what becomes of the optimizer's state, in words."""
        momentum = f", momentum {self.momentum:g}" if self.optimizer == "sgd" and self.momentum else ""
        return f"{self.optimizer} {self.lr:g}{momentum}, {self.between}"

    @property
    def words(self) -> str:
        """Its values in words."""
        lambdas = "with" if self.lambdas else "without"
        return (
            f"hidden layers {self.hidden}, {self.training}, {self.start}, {self.steps} steps, "
            f"{self.batch} of {self.examples} examples a step, form {self.form}, LW {lambdas} lambda layers"
        )


def with_kinds(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs at alpha 0.5 that are of one of Table 4's kinds.

    Added columns: `kind`, and `start`, the initializer with what is not at its default. The optimizer is filled in
    where a run has none because it is the default.
    """
    shared = {name: value for name, value in SETTINGS.items() if name not in _FREE and not is_method_setting(name)}
    runs = synthetic_runs(frame, {**shared, "dataset.alpha": 0.5})
    runs = runs.assign(**{"trainer.optimizer": _filled(runs, "trainer.optimizer", "sgd")})
    runs["start"] = runs["initializer"].astype(str)
    runs.loc[_filled(runs, "initializer.truncated", True).eq(False), "start"] += ", truncated=false"
    runs["kind"] = pd.Series([_kind(run) for run in records(runs)], index=runs.index, dtype=object)
    return runs[runs["kind"] != ""]


def combinations(frame: pd.DataFrame) -> list[Combination]:
    """Every combination that has runs of `SEARCH_SEEDS` in all 18 cells, the nearest first; of a collection's frame."""
    runs = with_kinds(frame)
    found = []
    for values, group in runs.groupby(list(_AXES)) if len(runs) else []:
        for form in sorted(group["trainer.weight_decay_form"].unique()):
            # Without a penalty its form means nothing: those runs belong to every form.
            chosen = group[(group["trainer.weight_decay"] == 0) | (group["trainer.weight_decay_form"] == form)]
            for lambdas in (False, True):
                one = _combination(chosen, values, str(form), lambdas)
                found += [] if one is None else [one]
    return sorted(found, key=lambda one: one.distance)


def _filled(runs: pd.DataFrame, column: str, default: Any) -> pd.Series:
    """A column with its setting's default where a run has none."""
    values = runs.get(column, pd.Series(None, index=runs.index, dtype=object))
    return values.astype(object).where(values.notna(), default)


def _kind(run: Mapping[str, Any]) -> str:
    """One of KINDS, or `lw, lambda layers`; empty for any other run."""
    if run["method"] == "bl":
        return "baseline"
    if run["method"] != "lw" or not run.get("method.rescale"):
        return ""
    schedule, redraws = json.loads(run.get("method.schedule") or "null"), run.get("method.reinitialize")
    normalizes = bool(run.get("method.normalize"))
    layers = len(json.loads(run["model.hidden"])) + 1
    if schedule == [layers] * 5 and not redraws and not normalizes:
        return "rescaling"
    # "Only the top layer in the last round": with three layers that is what is above the second.
    if schedule == [1, 1, 2, 2, min(3, layers - 1)] and redraws:
        return "lw, lambda layers" if normalizes else "lw"
    return ""


def _combination(runs: pd.DataFrame, values: Any, form: str, lambdas: bool) -> Combination | None:
    """The combination's distances; None where a cell has no run of the search's seeds."""
    of_search = runs["seed"].isin(SEARCH_SEEDS)
    searched, judged = (_differences(own, lambdas) for own in (runs[of_search], runs[~of_search]))
    if searched is None:
        return None
    off, seeds = searched
    optimizer, between, lr, momentum, hidden, start, steps, batch, examples = values
    return Combination(
        optimizer=str(optimizer),
        between=str(between),
        lr=float(lr),
        momentum=float(momentum),
        hidden=str(hidden),
        start=str(start),
        steps=int(steps),
        batch=int(batch),
        examples=int(examples),
        form=form,
        lambdas=lambdas,
        seeds=seeds,
        distance=root_mean_square(off[False] + off[True]),
        without=root_mean_square(off[False]),
        penalized=root_mean_square(off[True]),
        judging_seeds=0 if judged is None else judged[1],
        judged=None if judged is None else root_mean_square(judged[0][False] + judged[0][True]),
    )


def _differences(runs: pd.DataFrame, lambdas: bool) -> tuple[dict[bool, list[float]], int] | None:
    """Ours minus the paper's in points, by whether there is a penalty, and the fewest runs of a cell.

    None where a cell has no run.
    """
    names = dict(zip(KINDS, ("baseline", "rescaling", "lw, lambda layers" if lambdas else "lw"), strict=True))
    cells = runs.groupby(["trainer.weight_decay", "kind"])["test_accuracy"].agg(["size", "mean"])
    off: dict[bool, list[float]] = {False: [], True: []}
    seeds = []
    for penalty, method, accuracy in paper.published(4).itertuples(index=False):
        if (penalty, names[method]) not in cells.index:
            return None
        n, mean = cells.loc[(penalty, names[method])]
        seeds.append(int(n))
        off[penalty > 0].append(100 * (mean - accuracy))
    return off, min(seeds)
