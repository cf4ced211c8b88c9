"""What each reading of the paper changes on images, seed by seed. Built when it is named; Table 1's are `1-readings`.

A reading answers by a setting what the paper leaves open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame import notes
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import PLAIN, assignments, distinguishing_settings
from reinit_bench.analysis.frame.methods import method_order
from reinit_bench.analysis.frame.settings import PAPER, as_dicts, different
from reinit_bench.analysis.stats.summary import Summary, estimate, paired_differences
from reinit_bench.analysis.tables.table import Cell, Row, Table, estimate_cell, score_cells

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
"""Readings that are no method's own, by column, with their defaults (docs/explanation/protocol.md)."""

OWN = (
    *("method.scope", "method.selection", "method.fill", "method.extent", "method.layerwise", "method.first_round"),
    *("method.rescale_unit", "method.rescale_scope", "method.sample_examples", "method.lambda_on_head"),
    "method.clear_lambdas_above",
)
"""Those of methods; the defaults are in the methods' option files."""

READINGS = (*SHARED, *OWN)
"""All of them, in the order of the table."""

_LEGEND = (
    "difference: test accuracy under the reading minus that under the default with the same seed, in points, ± half "
    "its 95% t-interval over n seeds; the intervals are many and not corrected for that; higher–lower: in how many "
    "seeds it is higher and lower; default and reading: mean ± standard deviation [%]; no augmentation and no dropout "
    "where nothing else is said"
)
_START = "no finished run under a reading and the default; start with: reinit-bench -m study=readings_digits"
_FIELDS = (
    *("dataset", "model", "reading", "method", "n"),
    *("default_mean", "default_std", "reading_mean", "reading_std", "difference", "half_width", "higher", "lower"),
)


def readings_table(collection: Collection) -> Table:
    """One row per setting, reading and method: the mean paired difference from the default."""
    runs = _runs(collection)
    effects = paired_differences(runs, "reading", "", ["setting", "seed"])
    effects = effects.sort_values(["order", "label", "place", "reading", "method_place"], kind="stable")
    found = [_row(seeds) for _, seeds in effects.groupby(["setting", "reading", "method"], sort=False)]
    shown = runs.drop(columns=[name for name in READINGS if name in runs])
    return Table(
        name="readings",
        caption="Readings of the paper: what each changes in test accuracy, by paired seeds",
        headings=("Dataset", "Model", "Reading", "Method", "n"),
        columns=("default", "reading", "difference", "higher–lower"),
        rows=tuple(row for row, _ in found),
        notes=(
            _LEGEND if found else _START,
            *(notes.settings_unlike_paper(shown) if found else []),
            *notes.left_out(collection),
            *(notes.mixed_code(runs) if found else []),
        ),
        data=pd.DataFrame([numbers for _, numbers in found], columns=_FIELDS),
    )


BY_NAME = {"readings": readings_table}


def _runs(collection: Collection) -> pd.DataFrame:
    """The runs on images at the default or under one reading, with that as typed in a column `reading`.

    `model.padding=same`; empty text at the defaults. `label` is the network with its condition and what else tells its
    runs apart.
    """
    runs = collection.images
    shared = different(runs, SHARED)
    words = [
        assignments(run, [*shared.columns[row], *(column for column in run["changed"] if column in OWN)])
        for run, row in zip(as_dicts(runs), shared.to_numpy(), strict=True)
    ]
    one = [len(changed) < 2 for changed in words]  # several changed at once are no reading of their own
    runs = runs.assign(reading=["".join(changed) for changed in words])[pd.Series(one, runs.index, dtype=bool)]
    others = [name for name in collection.settings if name not in READINGS]
    told = [name for name in others if not name.startswith(("augmentation", "dropout"))]
    settings = list(runs[others].astype(str).itertuples(index=False, name=None))
    return runs.assign(
        setting=pd.Series(settings, runs.index, dtype=object),
        label=list(map(_label, runs["model"], runs["condition"], distinguishing_settings(runs, told))),
        place=[READINGS.index(word.partition("=")[0]) if word else -1 for word in runs["reading"]],
        method_place=pd.Series(list(map(method_order, runs["method"])), runs.index, dtype=object),
    )


def _label(model: str, condition: str, others: str) -> str:
    """`mobilenet, mild augmentation [model.width=0.25]`; nothing is said where there is nothing."""
    name = model if condition == PLAIN else f"{model}, {condition}"
    return f"{name} [{others}]" if others else name


def _row(seeds: pd.DataFrame) -> tuple[Row, tuple[object, ...]]:
    """One row as printed, and as the CSV has it."""
    first, differences = seeds.iloc[0], seeds["difference"]
    default, changed = Summary.of(seeds["baseline"]), Summary.of(100 * seeds["test_accuracy"])
    effect = estimate([Summary.of(differences)])
    higher, lower = int((differences > 0).sum()), int((differences < 0).sum())
    cells = *score_cells([default, changed], best=False), estimate_cell(effect, 1), Cell(f"{higher}–{lower}")
    names = str(first["dataset_shown"]), str(first["label"]), str(first["reading"])
    numbers = *default.for_csv, *changed.for_csv[1:], *effect.for_csv, higher, lower
    return Row((*names, first["method_label"], str(len(seeds))), cells), (*names, first["method"], *numbers)
