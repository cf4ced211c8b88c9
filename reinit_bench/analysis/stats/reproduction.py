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
from reinit_bench.analysis.frame.labels import condition_label, dataset_label, distinguishing_settings, natural
from reinit_bench.analysis.frame.methods import ordered_methods
from reinit_bench.analysis.frame.settings import as_dicts
from reinit_bench.analysis.stats.summary import Summary, t_quantile

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
        half: half the width of the difference's 95% interval in points; None where nothing tells the spread.
    """

    dataset: str
    model: str
    condition: str
    method: str
    method_label: str
    first: Summary
    second: Summary
    half: float | None

    @property
    def difference(self) -> float:
        """Points by which the second is above the first; rounded far below what a test set can resolve."""
        return round(self.second.mean - self.first.mean, 6)

    @property
    def word(self) -> str:
        """One of WORDS."""
        if self.half is None:
            return UNTOLD
        if abs(self.difference) > self.half:
            return NOT_REPRODUCED
        return REPRODUCED if self.half <= WIDEST else UNTOLD


@dataclass(frozen=True, kw_only=True)
class Comparison:
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


def half_width(first: Summary, second: Summary, *, published: bool = False) -> float | None:
    """Half the width of the 95% interval of the difference of two means; None where neither has a spread.

    Welch's where both have several seeds. A single run is taken to spread as the other source's runs do; a published
    number, of which nobody knows the spread, is taken as exact.
    """
    if first.std is None and second.std is None:
        return None
    if first.std is None or second.std is None:
        several = first if second.std is None else second
        assert several.std is not None
        single = 0.0 if published else several.std**2
        return t_quantile(several.n - 1) * math.sqrt(several.std**2 / several.n + single)
    parts = first.std**2 / first.n, second.std**2 / second.n
    if not sum(parts):
        return 0.0
    degrees = sum(parts) ** 2 / (parts[0] ** 2 / (first.n - 1) + parts[1] ** 2 / (second.n - 1))
    return t_quantile(degrees) * math.sqrt(sum(parts))


def compare_sources(first: Collection, second: Collection) -> Comparison:
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
    return Comparison(
        cells=tuple(cell for _, cell in sorted(cells, key=lambda item: _place(item[0], methods))),
        only_first=alone[0],
        only_second=alone[1],
        same_runs=len(_identities(first) & _identities(second)),
    )


def _rows(first: Collection, second: Collection, settings: Sequence[str], of_paper: bool) -> list[list[Record]]:
    """The rows of each source that can be of a cell; `differing` is what tells a row from others of its model."""
    frames = [_like_published(side) if of_paper else side.frame for side in (first, second)]
    sides = [[{**dict.fromkeys(settings), **row, "differing": ""} for row in as_dicts(frame)] for frame in frames]
    # What the published numbers do not say of their settings must not count as a difference between runs.
    runs = [row for side, rows in zip((first, second), sides, strict=True) if side.source is None for row in rows]
    if runs:
        told = [name for name in settings if name not in _CONDITION]
        for row, differing in zip(runs, distinguishing_settings(pd.DataFrame(runs), told), strict=True):
            row["differing"] = differing
    return [[{**row, "settings": tuple(row[name] for name in settings)} for row in rows] for rows in sides]


def _like_published(side: Collection) -> pd.DataFrame:
    """The rows that may be the counterpart of a published number, or are one."""
    frame = side.default_images
    return frame[frame["train_examples"].isna()]


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
        dataset=dataset_label(row["dataset_label"], row["train_examples"]),
        model=f"{row['model']} [{row['differing']}]" if row["differing"] else row["model"],
        condition=condition_label(row["augmentation"], row["dropout_rate"]) + initializer,
        method=row["method"],
        method_label=row["method_label"],
        first=first,
        second=second,
        half=half_width(first, second, published=published),
    )


def _identities(side: Collection) -> set[tuple[Any, ...]]:
    """The runs by id and accuracy; published numbers have no id."""
    if "run_id" not in side.frame:
        return set()
    return set(zip(side.frame["run_id"], side.frame["test_accuracy"], strict=True))


def _place(row: Record, methods: Sequence[str]) -> tuple[Any, ...]:
    dataset, model = paper.order_key(row["dataset_label"], paper.DATASETS), paper.order_key(row["model"], paper.MODELS)
    condition = str(row["augmentation"]), row["dropout_rate"], str(row["initializer"])
    differing = row["differing"].count("="), natural(row["differing"])
    return *dataset, row["train_examples"] or 0, *model, *differing, *condition, methods.index(row["method"])
