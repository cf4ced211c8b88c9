"""Which runs stand together in a figure: a panel per dataset and architecture, of runs that differ in method and seed.

A store may hold one architecture under many settings (augmentation, learning rates, widths); a panel shows one of them,
the nearest to what the paper shows, and says which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reinit_bench.analysis import notes, paper
from reinit_bench.analysis.collect import Collection, setting_name
from reinit_bench.analysis.method_defaults import method_defaults

SHOWN = "OXFORD-IIIT"
"""The dataset of the figures in the paper's main text."""

MAIN: Mapping[str, Any] = {"augmentation": "mild", "dropout_rate": 0.0, "initializer": "he_normal"}
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


def plain_runs(collection: Collection) -> pd.DataFrame:
    """The runs on images whose method is as its option file has it: no ablation, no other reading of the paper."""
    frame = collection.frame[collection.frame["image_size"].notna()]
    keep = pd.Series(True, index=frame.index)
    for method in frame["method"].unique():
        own = frame["method"] == method
        for column, value in method_defaults(method).items():
            if column in frame:
                same = frame[column].isna() if value is None else frame[column].isna() | (frame[column] == value)
                keep &= ~own | same
    return frame[keep]


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
    loose = ("method", "dataset_label", "train_examples", "model", *free)
    settings = [name for name in collection.settings if name not in loose and not name.startswith("method.")]
    varying = [name for name in settings if runs[name].nunique(dropna=False) > 1]
    labelled = runs.assign(panel_dataset=_dataset_labels(runs))
    found = []
    for (dataset, model), group in labelled.groupby(["panel_dataset", "model"], sort=False):
        parts = [part for _, part in group.groupby(varying, dropna=False)] if varying else [group]
        best = min(filter(usable, parts), key=lambda part: _distance(part, wanted, free), default=None)
        if best is not None:
            found.append(Panel(str(dataset), str(model), best.drop(columns="panel_dataset")))
    return sorted(found, key=lambda panel: (*_place(panel.dataset, paper.DATASETS), *_place(panel.model, paper.MODELS)))


def of_one_dataset(found: Sequence[Panel]) -> list[Panel]:
    """The panels of the paper's dataset; where it has none, of the dataset with the most runs."""
    if not found:
        return []
    counts: dict[str, int] = {}
    for panel in found:
        counts[panel.dataset] = counts.get(panel.dataset, 0) + len(panel.runs)
    chosen = SHOWN if SHOWN in counts else max(counts, key=lambda name: counts[name])
    return [panel for panel in found if panel.dataset == chosen]


def together(found: Sequence[Panel]) -> pd.DataFrame:
    """All runs of these panels."""
    return pd.concat([panel.runs for panel in found])


def condition_words(runs: pd.DataFrame) -> str:
    """The condition of these runs and their seeds, for a figure's title."""
    conditions = runs[["augmentation", "dropout_rate", "initializer"]].drop_duplicates()
    seeds = runs["seed"].nunique()
    counted = f"{seeds} seed{'s' if seeds > 1 else ''}"
    if len(conditions) > 1:
        return f"conditions differ, {counted}"
    augmentation, rate, initializer = conditions.iloc[0]
    words = [
        "no augmentation" if augmentation == "none" else f"augmentation {augmentation}",
        f"dropout {rate:g}" if rate else "no dropout",
        *([] if initializer == "he_normal" else [str(initializer)]),
    ]
    return f"{', '.join(words)}, {counted}"


def footnote(runs: pd.DataFrame) -> str:
    """What a reader must know of these runs' settings; empty where they are the paper's."""
    return "; ".join(notes.settings_unlike_paper(runs))


def _dataset_labels(runs: pd.DataFrame) -> list[str]:
    cuts = runs["train_examples"].astype(float)
    return [
        label if pd.isna(cut) else f"{label} ({cut:.0f})"
        for label, cut in zip(runs["dataset_label"], cuts, strict=True)
    ]


def _distance(runs: pd.DataFrame, wanted: Mapping[str, Any], free: Sequence[str]) -> tuple[float, ...]:
    """How far these runs' settings are from what is to be shown: the smallest is chosen."""
    first = runs.iloc[0]
    unwanted = sum(first.get(name) != value for name, value in wanted.items())
    known = {name: first[name] for name in runs.columns if setting_name(name) in paper.SETTINGS and name not in free}
    unlike = sum(
        value != paper.SETTINGS[setting_name(name)]
        for name, value in known.items()
        if not name.startswith("method.") and not pd.isna(value)
    )
    return unwanted, unlike, -len(runs), -float(first.get("trainer.max_steps") or 0)


def _place(name: str, order: Sequence[str]) -> tuple[int, str]:
    return (order.index(name) if name in order else len(order)), name
