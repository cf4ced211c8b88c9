"""The published Tables 2, 6 and 7 as if each number were a run: every analysis of runs can read the paper instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from reinit_bench.analysis import paper
from reinit_bench.analysis.collect import Collection

_SETTINGS = (
    "dataset",
    "train_examples",
    "model",
    "method",
    "augmentation",
    "dropout_rate",
    "initializer",
    "image_size",
)

SOURCE = "the published Tables 2, 6 and 7"


def published_runs() -> Collection:
    """One row per legible number; a damaged one is absent, as a run that never finished would be."""
    rows = [row for number in paper.CONDITIONS for row in _rows(number)]
    return Collection(paper.folder(), pd.DataFrame(rows), _SETTINGS, 0, (), from_paper=True)


def _rows(number: int) -> Iterator[dict[str, Any]]:
    condition = paper.CONDITIONS[number]
    for (dataset, model, method), percent in paper.published_accuracy(number).items():
        if percent is not None:
            yield {
                "test_accuracy": percent / 100,
                "dataset": dataset.lower(),
                "dataset_label": dataset,
                "train_examples": None,
                "model": model,
                "method": method,
                "method_label": method.upper(),
                "method_letter": paper.LETTERS[method],
                "augmentation": condition.augmentation,
                "dropout_rate": condition.dropout_rate,
                "initializer": condition.initializer,
                "image_size": 224,
                "seed": 0,
                "version": None,
                "git_commit": None,
            }
