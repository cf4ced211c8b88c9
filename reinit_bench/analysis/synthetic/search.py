"""The search for what Table 4 leaves out: each combination of settings with its distance from the published values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reinit_bench.analysis.runs import paper
from reinit_bench.analysis.runs.collect import is_method_setting, records
from reinit_bench.analysis.synthetic.comparison import SETTINGS, root_mean_square, synthetic_runs

KINDS = ("baseline", "rescaling", "lw")
"""Table 4's columns; with its lambda layers the third is called `lw, lambda layers` here."""

_FREE = ("train_examples", "trainer.lr", "trainer.weight_decay", "trainer.batch_size", "trainer.max_steps")
"""Settings of Table 1 that Table 4's runs need not share, besides the methods' own."""

_AXES = ["trainer.lr", "steps", "trainer.batch_size", "train_examples"]


@dataclass(frozen=True)
class Combination:
    """One combination of what the paper leaves open.

    Attributes:
        lr: learning rate.
        steps: of all rounds together.
        batch: examples of one step.
        examples: training examples.
        form: of the penalty, `trainer.weight_decay_form`.
        lambdas: whether LW has its lambda layers.
        seeds: the fewest of a cell.
        distance: root mean square difference from the paper over all 18 cells, in points (percent).
        without: the same over the three cells without a penalty.
        penalized: the same over the fifteen with one.
    """

    lr: float
    steps: int
    batch: int
    examples: int
    form: str
    lambdas: bool
    seeds: int
    distance: float
    without: float
    penalized: float

    @property
    def words(self) -> str:
        """Its values in words."""
        lambdas = "with" if self.lambdas else "without"
        return (
            f"learning rate {self.lr:g}, {self.steps} steps, {self.batch} of {self.examples} examples a step, "
            f"form {self.form}, LW {lambdas} lambda layers"
        )


def with_kinds(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs at alpha 0.5 that are of one of Table 4's kinds, with the kind in a column `kind`."""
    shared = {name: value for name, value in SETTINGS.items() if name not in _FREE and not is_method_setting(name)}
    runs = synthetic_runs(frame, {**shared, "dataset.alpha": 0.5})
    kinds = pd.Series([_kind(run) for run in records(runs)], index=runs.index, dtype=object)
    return runs.assign(kind=kinds)[kinds != ""]


def combinations(frame: pd.DataFrame) -> list[Combination]:
    """Every combination that has runs in all 18 cells, the nearest to the paper first; of a collection's frame."""
    runs = with_kinds(frame)
    found = []
    for values, group in runs.groupby(_AXES) if len(runs) else []:
        for form in sorted(group["trainer.weight_decay_form"].unique()):
            # Without a penalty its form means nothing: those runs belong to every form.
            chosen = group[(group["trainer.weight_decay"] == 0) | (group["trainer.weight_decay_form"] == form)]
            for lambdas in (False, True):
                one = _combination(chosen, values, str(form), lambdas)
                found += [] if one is None else [one]
    return sorted(found, key=lambda one: one.distance)


def _kind(run: Mapping[str, Any]) -> str:
    """One of KINDS, or `lw, lambda layers`; empty for any other run."""
    if run["method"] == "bl":
        return "baseline"
    if run["method"] != "lw" or not run.get("method.rescale"):
        return ""
    schedule, redraws = run.get("method.schedule"), run.get("method.reinitialize")
    normalizes = bool(run.get("method.normalize"))
    if schedule == "[3, 3, 3, 3, 3]" and not redraws and not normalizes:
        return "rescaling"
    if schedule == "[1, 1, 2, 2, 2]" and redraws:
        return "lw, lambda layers" if normalizes else "lw"
    return ""


def _combination(runs: pd.DataFrame, values: Any, form: str, lambdas: bool) -> Combination | None:
    """The combination's distance; None where a cell has no run."""
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
    lr, steps, batch, examples = values
    return Combination(
        lr=float(lr),
        steps=int(steps),
        batch=int(batch),
        examples=int(examples),
        form=form,
        lambdas=lambdas,
        seeds=min(seeds),
        distance=root_mean_square(off[False] + off[True]),
        without=root_mean_square(off[False]),
        penalized=root_mean_square(off[True]),
    )
