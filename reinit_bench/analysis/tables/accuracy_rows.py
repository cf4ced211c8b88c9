"""The rows of an accuracy table: one per dataset, model and settings; seeds are averaged, nothing else is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.labels import distinguishing_settings, natural
from reinit_bench.analysis.stats.summary import Summary, summaries
from reinit_bench.analysis.tables.table import Row, most_runs, score_cells


@dataclass(frozen=True)
class AccuracyRow:
    """The runs of one dataset and model that agree in all settings but the method's own and the seed.

    Attributes:
        dataset: its label, with the number of training examples where that was cut: `DIGITS (200)`.
        model: its name.
        label: the model with the settings that tell this row from others of the same model: `scnn [image_size=64]`.
        in_paper: the paper's label of the same dataset, empty where the paper has no counterpart.
        methods: by name.
    """

    dataset: str
    model: str
    label: str
    in_paper: str
    methods: dict[str, Summary] = field(default_factory=dict)

    def printed(self, methods: Iterable[str], label: str, *, best: bool = True) -> Row:
        """The row with a cell for each of these methods."""
        scores = [self.methods.get(name) for name in methods]
        return Row((self.dataset, label, str(most_runs(scores))), score_cells(scores, best=best))


def accuracy_rows(runs: pd.DataFrame, settings: Sequence[str]) -> list[AccuracyRow]:
    """Group `runs` (rows of a collection's frame) into table rows, those of the paper first and in its order.

    `settings` are the columns that tell two experiments apart.
    """
    if runs.empty:
        return []
    told = runs.assign(differing=distinguishing_settings(runs, settings))
    found: dict[tuple[Any, ...], AccuracyRow] = {}
    keys = ["order", "differing", "dataset_shown", "dataset_label", "train_examples", "model", "method"]
    for (order, differing, shown, dataset, cut, model, method), summary in summaries(told, keys).items():
        known = dataset if dataset in paper.DATASETS and pd.isna(cut) else ""
        label = f"{model} [{differing}]" if differing else model
        # The row nearest to the paper's settings comes first: it has the fewest settings to tell.
        place = order, differing.count("="), natural(differing), differing
        found.setdefault(place, AccuracyRow(shown, model, label, known)).methods[method] = summary
    return [found[place] for place in sorted(found)]
