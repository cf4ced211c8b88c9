"""Whether one source of runs reproduces another: cell by cell the difference of two means with its interval."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import distinguishing_settings, natural
from reinit_bench.analysis.frame.methods import ordered_methods
from reinit_bench.analysis.frame.settings import as_dicts
from reinit_bench.analysis.stats.summary import Estimate, Summary, estimate, t_quantile

WIDEST = 2.0
"""Percentage points: with an interval that reaches farther to each side, no difference can be ruled out."""

REPRODUCED, NOT_REPRODUCED, UNTOLD = "reproduced", "not reproduced", "cannot be told"
WORDS = (REPRODUCED, NOT_REPRODUCED, UNTOLD)

Record = Mapping[str, Any]

_CONDITION = ("augmentation", "dropout", "dropout_rate", "initializer")
_IN_PAPER = ("dataset_label", "train_examples", "model", "method", "augmentation", "dropout_rate", "initializer")
"""Columns by which a run is the counterpart of a published number."""


@dataclass(frozen=True, kw_only=True)
class ComparedCell:
    """One dataset, model, condition and method in both sources, in percent.

    Attributes:
        dataset, model, condition: their labels; the model's with the settings that tell its cells apart.
        method, method_label: its name, and what tables call it.
        first, second: over the seeds of each source.
        difference: points by which the second is above the first.
    """

    dataset: str
    model: str
    condition: str
    method: str
    method_label: str
    first: Summary
    second: Summary
    difference: Estimate

    @property
    def word(self) -> str:
        """One of WORDS."""
        margin = self.difference.margin
        if margin is None:
            return UNTOLD
        if abs(self.difference.value) > margin:
            return NOT_REPRODUCED
        return REPRODUCED if margin <= WIDEST else UNTOLD


@dataclass(frozen=True, kw_only=True)
class SourceComparison:
    """Two sources side by side.

    Attributes:
        cells: those that are in both, in the order of the tables.
        only_first, only_second: how many cells are in one source alone.
        same_runs: how many runs are in both with the same id and accuracy: one run that was copied, or trained twice.
    """

    cells: tuple[ComparedCell, ...]
    only_first: int
    only_second: int
    same_runs: int


def difference(first: Summary, second: Summary, *, published: bool = False) -> Estimate:
    """By how much the second mean is above the first; without an interval where neither has a spread.

    Welch's interval where both have several seeds. A single run is taken to spread as the other source's runs do; a
    published number, of which nobody knows the spread, is taken as exact.
    """
    several = next((one for one in (first, second) if one.std is not None), first)
    margin = estimate([second, first], [1.0, -1.0]).margin
    if margin is None and several.std is not None:
        spread = several.std**2 * (1 / several.n + (0 if published else 1))
        margin = t_quantile(several.n - 1) * math.sqrt(spread)
    # Rounded far below what a test set can resolve.
    return Estimate(round(second.mean - first.mean, 6), margin, first.n + second.n)


def compare_sources(first: Collection, second: Collection) -> SourceComparison:
    """All cells of two sources.

    Runs of two stores are of one cell where they agree in every setting but the seed. A published number is compared
    with the runs of its dataset, model, method (at its defaults) and condition, whatever their other settings are.
    """
    of_paper = first.source is not None or second.source is not None
    settings = tuple(dict.fromkeys((*first.settings, *second.settings)))
    sides = [_cells(rows, _IN_PAPER if of_paper else settings) for rows in _rows(first, second, settings, of_paper)]
    both = sides[0].keys() & sides[1].keys()
    cells = [
        _compared(one, other, published=of_paper)
        for match in both
        for one, other in product(sides[0][match], sides[1][match])
    ]
    alone = [sum(len(cells) for match, cells in side.items() if match not in both) for side in sides]
    methods = ordered_methods(one[0]["method"] for side in sides for cells in side.values() for one in cells)
    return SourceComparison(
        cells=tuple(cell for _, cell in sorted(cells, key=lambda item: _place(item[0], methods))),
        only_first=alone[0],
        only_second=alone[1],
        same_runs=len(_identities(first) & _identities(second)),
    )


def _rows(first: Collection, second: Collection, settings: Sequence[str], of_paper: bool) -> list[list[Record]]:
    """The rows of each source that can be of a cell; `differing` is what tells a row from others of its model."""
    frames = [side.frame for side in (first, second)]
    if of_paper:  # what may be the counterpart of a published number, or is one
        frames = [side.default_images[side.default_images["train_examples"].isna()] for side in (first, second)]
    sides = [[{**dict.fromkeys(settings), **row, "differing": ""} for row in as_dicts(frame)] for frame in frames]
    # What the published numbers do not say of their settings must not count as a difference between runs.
    runs = [row for side, rows in zip((first, second), sides, strict=True) if side.source is None for row in rows]
    if runs:
        told = [name for name in settings if name not in _CONDITION]
        for row, differing in zip(runs, distinguishing_settings(pd.DataFrame(runs), told), strict=True):
            row["differing"] = differing
    return [[{**row, "settings": tuple(row[name] for name in settings)} for row in rows] for rows in sides]


def _cells(rows: Sequence[Record], columns: Sequence[str]) -> dict[tuple[Any, ...], list[list[Record]]]:
    """Rows that agree in all settings, by their values of `columns`, which the other source must have too."""
    cells: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for row in rows:
        cells[row["settings"]].append(row)
    found: dict[tuple[Any, ...], list[list[Record]]] = defaultdict(list)
    for seeds in cells.values():
        found[tuple(seeds[0][name] for name in columns)].append(seeds)
    return found


def _compared(one: Sequence[Record], other: Sequence[Record], *, published: bool) -> tuple[Record, ComparedCell]:
    """A cell with the row that describes it, which is one that has settings to tell."""
    row = max(one[0], other[0], key=lambda row: len(row["differing"]))
    first, second = (Summary.of(100 * pd.Series([run["test_accuracy"] for run in seeds])) for seeds in (one, other))
    initializer = "" if row["initializer"] == "he_normal" else f", {row['initializer']}"
    return row, ComparedCell(
        dataset=row["dataset_shown"],
        model=f"{row['model']} [{row['differing']}]" if row["differing"] else row["model"],
        condition=row["condition"] + initializer,
        method=row["method"],
        method_label=row["method_label"],
        first=first,
        second=second,
        difference=difference(first, second, published=published),
    )


def _identities(side: Collection) -> set[tuple[Any, ...]]:
    """The runs by id and accuracy; published numbers have no id."""
    if "run_id" not in side.frame:
        return set()
    return set(zip(side.frame["run_id"], side.frame["test_accuracy"], strict=True))


def _place(row: Record, methods: Sequence[str]) -> tuple[Any, ...]:
    condition = str(row["augmentation"]), row["dropout_rate"], str(row["initializer"])
    differing = row["differing"].count("="), natural(row["differing"])
    setting = paper.setting_key(row["dataset_label"], row["train_examples"], row["model"])
    return *setting, *differing, *condition, methods.index(row["method"])
