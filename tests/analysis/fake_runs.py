"""Collections made without a store: only what the conclusions read of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection, described

SETTINGS = (
    "dataset",
    "train_examples",
    "model",
    "method",
    "augmentation",
    "dropout_rate",
    "initializer",
    "image_size",
    "trainer.lr",
    "method.rescale",
    "method.fraction",
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
        "method_label": method.upper(),
        "method_letter": paper.LETTERS.get(method, method.upper()),
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


def fake_grid(
    datasets: Sequence[str],
    models: Sequence[str],
    methods: Sequence[str],
    percent: Callable[[str, str, str, int], float],
) -> Collection:
    """Every combination under the three conditions with both initializers; `percent` also gets the setting's number."""
    conditions = list(enumerate(product(CONDITIONS, INITIALIZERS)))
    return collection_of(
        [
            fake_run(
                dataset,
                model,
                method,
                percent(dataset, model, method, number),
                augmentation=augmentation,
                dropout_rate=rate,
                initializer=initializer,
            )
            for dataset, model, method in product(datasets, models, methods)
            for number, ((augmentation, rate), initializer) in conditions
        ]
    )
