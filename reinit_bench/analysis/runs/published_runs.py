"""The published Tables 2, 6 and 7 as if each number were a run, so that analyses of runs can read the paper instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from reinit_bench.analysis.runs import paper
from reinit_bench.analysis.runs.collect import Collection

SOURCE = "the published Tables 2, 6 and 7"

_SETTINGS = ("dataset", "train_examples", "model", "method", *paper.CONDITIONS[2].settings, "image_size")


def published_runs(*, reconstructed: bool = False) -> Collection:
    """One row per legible number; a damaged one is absent, like a run that never finished.

    Args:
        reconstructed: also the damaged numbers that follow from what is legible (`results/paper/README.md`).
    """
    rows = [row for number in paper.CONDITIONS for row in _rows(number, reconstructed)]
    source = SOURCE
    if reconstructed:
        legible = sum(1 for number in paper.CONDITIONS for _ in _rows(number, reconstructed=False))
        source = f"{SOURCE} with {len(rows) - legible} damaged cells reconstructed"
    return Collection(paper.folder(), pd.DataFrame(rows), _SETTINGS, 0, (), source)


def _rows(number: int, reconstructed: bool) -> Iterator[dict[str, Any]]:
    for (dataset, model, method), percent in paper.published_accuracy(number, reconstructed=reconstructed).items():
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
                **paper.CONDITIONS[number].settings,
                "image_size": 224,
                "seed": 0,
                "version": None,
                "git_commit": None,
            }
