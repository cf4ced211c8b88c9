"""The rows of an accuracy table: one per dataset, model and settings; seeds are averaged, nothing else is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.labels import dataset_label, distinguishing_settings, natural
from reinit_bench.analysis.stats.summary import Summary, summaries


@dataclass(frozen=True)
class AccuracyRow:
    """The runs of one dataset and model that agree in all settings but the method's own and the seed.

    Attributes:
        dataset: its label, with the number of training examples where that was cut: `DIGITS (200)`.
        model: its name.
        label: the model with the settings that tell this row from others of the same model: `scnn [image_size=64]`.
        in_paper: the paper's label of the same dataset, None where the paper has no counterpart.
        methods: by name.
    """

    dataset: str
    model: str
    label: str
    in_paper: str | None
    methods: dict[str, Summary] = field(default_factory=dict)


def accuracy_rows(runs: pd.DataFrame, settings: Sequence[str]) -> list[AccuracyRow]:
    """Group `runs` (rows of a collection's frame) into table rows, those of the paper first and in its order.

    `settings` are the columns that tell two experiments apart.
    """
    if runs.empty:
        return []
    cut = runs["train_examples"].astype(float).fillna(0).astype(int)
    grouped = runs.assign(examples=cut, differing=distinguishing_settings(runs, settings))
    found: dict[tuple[Any, ...], AccuracyRow] = {}
    keys = ["dataset_label", "examples", "model", "differing", "method"]
    for (*key, method), summary in summaries(grouped, keys).items():
        row = found.setdefault(tuple(key), _empty_row(*key))
        row.methods[method] = summary
    return [found[key] for key in sorted(found, key=_place)]


def _empty_row(dataset: str, examples: int, model: str, differing: str) -> AccuracyRow:
    known = dataset in paper.DATASETS and not examples
    label = f"{model} [{differing}]" if differing else model
    return AccuracyRow(dataset_label(dataset, examples or None), model, label, dataset if known else None)


def _place(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dataset, examples, model, differing = key
    # The row nearest to the paper's settings comes first: it has the fewest settings to tell.
    nearness = differing.count("="), natural(differing)
    return *paper.order_key(dataset, paper.DATASETS), examples, *paper.order_key(model, paper.MODELS), *nearness
