"""Which runs stand together in a figure: a panel per dataset and architecture, of runs that differ in method and seed.

A store may hold one architecture under many settings (augmentation, learning rates, widths); a panel shows one of them,
the nearest to what the paper shows, and says which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.measurements import having
from reinit_bench.analysis.frame.settings import as_dicts, different, distance_from_paper

SHOWN = "OXFORD-IIIT"
"""The dataset of the figures in the paper's main text."""

OF_ONE_DATASET = ("figure5", "figure6")
"""The figures that show finished networks of one dataset; those of every dataset need all of Table 2's runs."""

MAIN = paper.CONDITIONS[2].settings
"""Table 2's condition, preferred where the paper does not say what a figure shows."""

BUDGET = "trainer.max_steps"


@dataclass(frozen=True)
class Panel:
    """The runs of one dataset and architecture that differ in nothing but method and seed.

    Attributes:
        dataset: its label, with the number of training examples where that was cut: `DIGITS (200)`.
        model: its name.
        runs: rows of a collection's frame.
    """

    dataset: str
    model: str
    runs: pd.DataFrame


def panels(
    collection: Collection,
    runs: pd.DataFrame,
    *,
    free: Sequence[str] = (),
    wanted: Mapping[str, Any] = MAIN,
    usable: Callable[[pd.DataFrame], bool] = lambda runs: True,
    asks: Sequence[str] = ("run_id",),
) -> list[Panel]:
    """One panel per dataset and architecture, in the paper's order, others after.

    Args:
        runs: rows of the collection's frame.
        free: settings that may differ within a panel.
        wanted: settings that are preferred; then the paper's are, then the setting with the most runs.
        usable: whether runs of one setting can make a panel at all; it is given the columns in `asks`.
    """
    apart = ("train_examples", "model", *free)
    settings = [name for name in collection.shared_settings if name not in apart]
    varying = [name for name in settings if runs[name].nunique(dropna=False) > 1]
    # Of some thousand settings, making a frame of each would take a second: only those that are chosen become frames.
    asked = runs.reindex(columns=list(asks))
    parts: dict[tuple[str, str], list[list[int]]] = {}
    labels, models = list(runs["dataset_shown"]), list(map(str, runs["model"]))
    for rows in _rows_by(runs.assign(panel_dataset=labels), ["panel_dataset", "model", *varying]):
        parts.setdefault((labels[rows[0]], models[rows[0]]), []).append(rows)
    known = _Distances(runs, wanted, free)
    found = []
    for (dataset, model), choices in parts.items():
        nearest = sorted(choices, key=known.of)
        best = next((rows for rows in nearest if usable(asked.iloc[rows])), None)
        if best is not None:
            found.append(Panel(dataset, model, runs.iloc[best]))
    return sorted(found, key=_place)


def measured_panels(collection: Collection, figure: str, what: str, needed: Sequence[str]) -> list[Panel]:
    """The panels of runs whose diagnostics hold all names in `needed`.

    Raises:
        NothingToDraw: there is none; the line says whether finished runs were left without `what`.
    """
    runs = collection.default_images
    known = having(collection, runs, *needed)
    if known.empty:
        shown = " dataset=oxford_iiit_pet" if figure in OF_ONE_DATASET else ""
        unmeasured = f" ({len(runs)} finished without diagnostics)" if len(runs) else ""
        raise NothingToDraw(
            f"{figure}: no finished run in {collection.path} has its {what} measured{unmeasured}; "
            f"reinit-bench -m study=table2{shown}, or study=digits"
        )
    return panels(collection, known)


def of_one_dataset(found: Sequence[Panel], shown: str = SHOWN) -> list[Panel]:
    """The panels of the dataset that the paper shows; where it has none, of the dataset with the most runs."""
    counts: Counter[str] = Counter()
    for panel in found:
        counts[panel.dataset] += len(panel.runs)
    chosen = shown if shown in counts else max(counts, key=lambda name: counts[name], default=None)
    return [panel for panel in found if panel.dataset == chosen]


def together(found: Sequence[Panel]) -> pd.DataFrame:
    """All runs of these panels."""
    return pd.concat([panel.runs for panel in found])


def _place(panel: Panel) -> tuple[int | str, ...]:
    return *paper.order_key(panel.dataset, paper.DATASETS), *paper.order_key(panel.model, paper.MODELS)


def _rows_by(runs: pd.DataFrame, keys: Sequence[str]) -> list[list[int]]:
    """The places of the rows that agree in these columns, by the columns' values."""
    numbers = runs.groupby(list(keys), dropna=False).ngroup().to_numpy()
    order = np.argsort(numbers, kind="stable")
    ends = np.flatnonzero(np.diff(numbers[order])) + 1
    return [rows.tolist() for rows in np.split(order, ends) if len(rows)]


class _Distances:
    """How far settings are from what is to be shown: the smallest is chosen."""

    def __init__(self, runs: pd.DataFrame, wanted: Mapping[str, Any], free: Sequence[str]) -> None:
        self.wanted = wanted
        self.runs = as_dicts(runs[[name for name in runs if name in wanted or name == BUDGET]])
        self.from_paper = distance_from_paper(runs, but=free).tolist()

    def of(self, rows: Sequence[int]) -> tuple[float, ...]:
        """The distance of the setting that the runs at these places have."""
        first = self.runs[rows[0]]
        most_steps = float(first.get(BUDGET) or 0)
        return len(different(first, self.wanted)), self.from_paper[rows[0]], -len(rows), -most_steps
