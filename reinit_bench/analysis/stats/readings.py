"""Readings of the paper: which settings answer what it leaves open, and what each changes, seed by seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import PLAIN, assignments, distinguishing_settings
from reinit_bench.analysis.frame.methods import ordered_methods
from reinit_bench.analysis.frame.settings import PAPER, as_dicts, different
from reinit_bench.analysis.stats.summary import paired_differences

SHARED: Mapping[str, Any] = {
    "trainer.optimizer_between_rounds": "fresh",
    "trainer.round_weights": "best",
    "trainer.weight_decay_form": "l2",
    "initializer.truncated": True,
    "initializer.depthwise_fan_in": PAPER["initializer.depthwise_fan_in"],
    "model.norm_epsilon": 1e-3,
    "model.version": 1,
    "model.grouping": PAPER["model.grouping"],
    "model.padding": PAPER["model.padding"],
    "model.conv_bias": PAPER["model.conv_bias"],
    "augmentation.enlarge_from": PAPER["augmentation.enlarge_from"],
}
"""Those that are no method's own, by column, with their defaults (docs/explanation/protocol.md)."""

OWN = (
    "method.scope",
    "method.selection",
    "method.fill",
    "method.extent",
    "method.layerwise",
    "method.first_round",
    "method.rescale_unit",
    "method.rescale_scope",
    "method.sample_examples",
    "method.lambda_on_head",
    "method.clear_lambdas_above",
)
"""Those of methods; the defaults are in the methods' option files."""

READINGS = (*SHARED, *OWN)
"""All of them, in the order of tables."""


def reading_runs(collection: Collection) -> pd.DataFrame:
    """The runs on images at the default or under one reading, with that as typed in a column `reading`.

    `model.padding=same`; empty text at the defaults.
    """
    runs = collection.images
    words = [
        assignments(run, [*different(run, SHARED), *(column for column in run["changed"] if column in OWN)])
        for run in as_dicts(runs)
    ]
    one = [len(changed) < 2 for changed in words]  # several changed at once are no reading of their own
    return runs.assign(reading=["".join(changed) for changed in words])[pd.Series(one, runs.index, dtype=bool)]


def reading_effects(collection: Collection) -> pd.DataFrame:
    """A row for each method, setting, reading and seed that the default has too, in the order of tables.

    `label` is the network with its condition and what else tells its runs apart; `difference` is the test accuracy
    under the reading in points above that under the default, which is the `baseline` in percent.
    """
    runs = reading_runs(collection)
    shared = [name for name in collection.settings if name not in READINGS]
    told = [name for name in shared if not name.startswith(("augmentation", "dropout"))]
    settings = list(runs[shared].astype(str).itertuples(index=False, name=None))
    runs = runs.assign(
        setting=pd.Series(settings, runs.index, dtype=object),
        label=list(map(_label, runs["model"], runs["condition"], distinguishing_settings(runs, told))),
        place=[READINGS.index(word.partition("=")[0]) if word else -1 for word in runs["reading"]],
        method_place=list(map(ordered_methods(runs["method"]).index, runs["method"])),
    )
    paired = paired_differences(runs, "reading", "", ["setting", "seed"])
    return paired.sort_values(["order", "label", "place", "reading", "method_place"], kind="stable")


def _label(model: str, condition: str, others: str) -> str:
    """`mobilenet, mild augmentation [model.width=0.25]`; nothing is said where there is nothing."""
    name = model if condition == PLAIN else f"{model}, {condition}"
    return f"{name} [{others}]" if others else name
