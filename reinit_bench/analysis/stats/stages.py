"""Data in stages: each arm's test accuracy at the end of each stage, and its difference from a fresh network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import distinguishing_settings
from reinit_bench.analysis.frame.measurements import rounds_of
from reinit_bench.analysis.frame.methods import ordered_methods
from reinit_bench.analysis.stats.summary import Estimate, Summary, estimate, paired_differences

FRESH = "cold"
"""The arm that begins every round, and so every stage, with a fresh network."""

TUNED = {"trainer.lr", "trainer.weight_decay"}
"""What each arm may choose for itself."""

MEAN = 0
"""Stands for the mean over stages where a stage's number, from 1, could stand."""


@dataclass(frozen=True, kw_only=True)
class StagedSetting:
    """One setting: the same data, stages and network.

    Attributes:
        label: of the setting.
        stages: how many.
        runs: a row for each run and stage (and for the mean over stages, `MEAN`): `method`, `method_label`, `seed`,
            `stage`, and `test_accuracy` as a fraction.
    """

    label: str
    stages: int
    runs: pd.DataFrame

    @property
    def methods(self) -> list[str]:
        """The arms, in the order of all tables."""
        return list(ordered_methods(self.runs["method"]))

    def accuracy(self, method: str, stage: int) -> Summary:
        """Test accuracy in percent over seeds."""
        rows = self.runs[(self.runs["method"] == method) & (self.runs["stage"] == stage)]
        return Summary.of(100 * rows["test_accuracy"])

    def over_fresh(self, method: str, stage: int) -> Estimate | None:
        """The difference from a fresh network in points, paired by seed; None where no seed has both."""
        rows = self.runs[(self.runs["stage"] == stage) & self.runs["method"].isin([method, FRESH])]
        paired = paired_differences(rows, "method", FRESH)
        return estimate([Summary.of(paired["difference"])]) if len(paired) else None


def staged_settings(collection: Collection) -> list[StagedSetting]:
    """The settings whose data come in stages, in order of their labels."""
    runs = collection.default_images
    if "dataset.stages" not in runs or (runs := runs[runs["dataset.stages"].notna()]).empty:
        return []
    settings = [name for name in collection.shared_settings if name not in TUNED]
    runs = runs.assign(differing=distinguishing_settings(runs, settings))
    found = []
    for (dataset, model, differing), own in runs.groupby(["dataset_shown", "model", "differing"]):
        rows = pd.DataFrame([row for _, run in own.iterrows() for row in _stages(collection, run)])
        if not rows.empty:
            label = ", ".join(filter(None, (str(dataset), str(model), str(differing))))
            found.append(StagedSetting(label=label, stages=int(rows["stage"].max()), runs=rows))
    return found


def _stages(collection: Collection, run: pd.Series) -> Iterator[dict[str, object]]:
    rounds = rounds_of(collection, str(run["run_id"]))
    if "stage" not in rounds:
        return
    ends = rounds.groupby("stage")["test_accuracy"].last()
    same = {name: run[name] for name in ("method", "method_label", "seed")}
    yield {**same, "stage": MEAN, "test_accuracy": ends.mean()}
    yield from ({**same, "stage": stage, "test_accuracy": accuracy} for stage, accuracy in ends.items())
