"""Collections made without a store: only what the conclusions read of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from factories import METHOD_FILES

from reinit_bench.analysis.frame.collect import Collection, described

SETTINGS = (
    *("dataset", "train_examples", "model", "method", "augmentation", "dropout_rate", "initializer", "image_size"),
    *("trainer.lr", "method.rescale", "method.fraction"),
)
CONDITIONS = (("none", 0.0), ("mild", 0.0), ("mild", 0.25))
INITIALIZERS = ("he_normal", "xavier_uniform")


def fake_run(dataset: str, model: str, method: str, percent: float, **changes: Any) -> dict[str, Any]:
    """One finished run at the paper's settings without augmentation; `changes` are columns, `__` for a dot."""
    row = {
        "test_accuracy": percent / 100,
        "dataset": dataset.lower(),
        "dataset_label": dataset,
        "train_examples": None,
        "model": model,
        "method": method,
        "method_label": METHOD_FILES.get(method, {}).get("_label_", method.upper()),
        "method_letter": METHOD_FILES.get(method, {}).get("_letter_", method.upper()),
        "augmentation": "none",
        "dropout_rate": 0.0,
        "initializer": "he_normal",
        "image_size": 224,
        "trainer.lr": 0.003,
        "method.rescale": True if method == "lw" else None,
        "method.fraction": 0.2 if method in ("welsr", "wels", "dsd") else None,
        "seed": 0,
        "version": "0.1.0",
        "git_commit": None,
    }
    return row | {name.replace("__", "."): value for name, value in changes.items()}


def collection_of(rows: Sequence[dict[str, Any]], results_dir: str = "results") -> Collection:
    """A collection of these runs."""
    columns = list(fake_run("A", "scnn", "bl", 0.0))
    return Collection(Path(results_dir), described(pd.DataFrame(rows, columns=columns)), SETTINGS)


def grid_rows(
    datasets: Sequence[str], models: Sequence[str], percents: Mapping[str, float | Sequence[float]]
) -> list[dict[str, Any]]:
    """Every combination under the three conditions with both initializers: one percent a method, or one a setting."""
    settings = list(product(CONDITIONS, INITIALIZERS))
    return [
        fake_run(dataset, model, method, percent, augmentation=augmentation, dropout_rate=rate, initializer=initializer)
        for dataset, model, (method, given) in product(datasets, models, percents.items())
        for percent, ((augmentation, rate), initializer) in zip(
            given if isinstance(given, Sequence) else [given] * len(settings), settings, strict=True
        )
    ]


def fake_grid(*grid: Any) -> Collection:
    return collection_of(grid_rows(*grid))
