"""Which runs stand together in a figure: a panel per dataset and architecture, of runs that differ in method and seed.

A store may hold one architecture under many settings (augmentation, learning rates, widths); a panel shows one of them,
the nearest to what the paper shows, and says which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.runs import paper
from reinit_bench.analysis.runs.collect import Collection
from reinit_bench.analysis.runs.distance import default_image_runs, different, from_paper
from reinit_bench.analysis.runs.labelling import dataset_labels
from reinit_bench.analysis.runs.measurements import having

SHOWN = "OXFORD-IIIT"
"""The dataset of the figures in the paper's main text."""

OF_ONE_DATASET = ("figure5", "figure6")
"""The figures that show finished networks of one dataset; those of every dataset need all of Table 2's runs."""

MAIN = paper.CONDITIONS[2].settings
"""Table 2's condition, preferred where the paper does not say what a figure shows."""


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
) -> list[Panel]:
    """One panel per dataset and architecture, in the paper's order, others after.

    Args:
        runs: rows of the collection's frame.
        free: settings that may differ within a panel.
        wanted: settings that are preferred; then the paper's are, then the setting with the most runs.
        usable: whether runs of one setting can make a panel at all.
    """
    apart = ("train_examples", "model", *free)
    settings = [name for name in collection.shared_settings if name not in apart]
    varying = [name for name in settings if runs[name].nunique(dropna=False) > 1]
    labelled = runs.assign(panel_dataset=dataset_labels(runs))
    found = []
    for (dataset, model), group in labelled.groupby(["panel_dataset", "model"], sort=False):
        parts = [part for _, part in group.groupby(varying, dropna=False)] if varying else [group]
        best = min(filter(usable, parts), key=lambda part: _distance(part, wanted, free), default=None)
        if best is not None:
            found.append(Panel(str(dataset), str(model), best.drop(columns="panel_dataset")))
    return sorted(found, key=_place)


def measured_panels(collection: Collection, figure: str, what: str, needed: Sequence[str]) -> list[Panel]:
    """The panels of runs whose diagnostics hold all names in `needed`.

    Raises:
        NothingToDraw: there is none; the line says whether finished runs were left without `what`.
    """
    runs = default_image_runs(collection)
    known = having(collection, runs, *needed)
    if known.empty:
        shown = " dataset=oxford_iiit_pet" if figure in OF_ONE_DATASET else ""
        unmeasured = f" ({len(runs)} finished without diagnostics)" if len(runs) else ""
        raise NothingToDraw(
            f"{figure}: no finished run in {collection.place} has its {what} measured{unmeasured}; "
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
    return *paper.place(panel.dataset, paper.DATASETS), *paper.place(panel.model, paper.MODELS)


def _distance(runs: pd.DataFrame, wanted: Mapping[str, Any], free: Sequence[str]) -> tuple[float, ...]:
    """How far the settings of these runs are from what is to be shown: the smallest is chosen."""
    first = runs.iloc[0]
    most_steps = float(first.get("trainer.max_steps") or 0)
    return len(different(first, wanted)), from_paper(first, but=free), -len(runs), -most_steps
