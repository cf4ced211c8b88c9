"""Whether one source of runs reproduces another: cell by cell the difference of two means with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import distinguishing_settings, natural
from reinit_bench.analysis.frame.methods import ordered_methods
from reinit_bench.analysis.frame.settings import as_dicts
from reinit_bench.analysis.stats.summary import Estimate, Summary, estimate, summaries, t_quantile

WIDEST = 2.0
"""Percentage points: with an interval that reaches farther to each side, no difference can be ruled out."""

REPRODUCED, NOT_REPRODUCED, UNTOLD = "reproduced", "not reproduced", "cannot be told"
WORDS = (REPRODUCED, NOT_REPRODUCED, UNTOLD)

Record = Mapping[str, Any]

_CELL = ("dataset", "label", "condition", "method", "method_label", "first", "second", "difference", "word")
_CONDITION = ("augmentation", "dropout", "dropout_rate", "initializer")
_IN_PAPER = ["dataset_label", "train_examples", "model", "method", "augmentation", "dropout_rate", "initializer"]
"""Columns by which a run is the counterpart of a published number."""


@dataclass(frozen=True, kw_only=True)
class SourceComparison:
    """Two sources side by side.

    Attributes:
        cells: a row for each dataset, model, condition and method that both have, in the order of the tables, with the
            labels of these; `first` and `second` are the sources' summaries, `difference` is the second's from the
            first's, `word` one of WORDS.
        only_first, only_second: how many cells are in one source alone.
        same_runs: how many runs are in both with the same id and accuracy: one run that was copied, or trained twice.
    """

    cells: pd.DataFrame
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


def word_for(found: Estimate) -> str:
    """One of WORDS."""
    if found.margin is None:
        return UNTOLD
    if abs(found.value) > found.margin:
        return NOT_REPRODUCED
    return REPRODUCED if found.margin <= WIDEST else UNTOLD


def compare_sources(first: Collection, second: Collection) -> SourceComparison:
    """All cells of two sources.

    Runs of two stores are of one cell where they agree in every setting but the seed. A published number is compared
    with the runs of its dataset, model, method (at its defaults) and condition, whatever their other settings are.
    """
    of_paper = first.source is not None or second.source is not None
    settings = list(dict.fromkeys((*first.settings, *second.settings)))
    runs = _runs((first, second), settings, of_paper)
    cells = runs.drop_duplicates(["side", *settings])
    scores = list(summaries(runs, ["side", *settings]).values())
    cells = cells.assign(summary=pd.Series(scores, cells.index, dtype=object))
    match = _IN_PAPER if of_paper else settings
    ours, theirs = (cells[cells["side"] == side] for side in (0, 1))
    both = ours.merge(theirs, on=match, suffixes=("", "_2"))
    alone = [
        int((one.merge(other[match].drop_duplicates(), on=match, how="left", indicator=True)["_merge"] != "both").sum())
        for one, other in ((ours, theirs), (theirs, ours))
    ]
    methods = ordered_methods(runs["method"])
    found = [_compared(row, published=of_paper) for row in as_dicts(both)]
    found.sort(key=lambda cell: _place(cell, methods))
    return SourceComparison(
        cells=pd.DataFrame(found, columns=_CELL),
        only_first=alone[0],
        only_second=alone[1],
        same_runs=len(_identities(first) & _identities(second)),
    )


def _runs(sides: Sequence[Collection], settings: Sequence[str], of_paper: bool) -> pd.DataFrame:
    """The rows of both sources that can be of a cell; `differing` is what tells a row from others of its model."""
    frames = [side.frame for side in sides]
    if of_paper:  # what may be the counterpart of a published number, or is one
        frames = [side.default_images[side.default_images["train_examples"].isna()] for side in sides]
    rows = [{"side": side, **row} for side, frame in enumerate(frames) for row in as_dicts(frame)]
    columns = ["side", *dict.fromkeys(str(name) for frame in frames for name in frame), *settings]
    runs = pd.DataFrame(rows, columns=list(dict.fromkeys(columns))).assign(differing="")
    # What the published numbers do not say of their settings must not count as a difference between runs.
    stored = runs[runs["side"].map(lambda side: sides[side].source is None).astype(bool)]
    told = [name for name in settings if name not in _CONDITION]
    runs.loc[stored.index, "differing"] = distinguishing_settings(stored, told)
    return runs


def _compared(row: Record, *, published: bool) -> dict[str, Any]:
    """A cell, described by the side that has settings to tell."""
    differing = max(row["differing"], row["differing_2"], key=len)
    initializer = "" if row["initializer"] == "he_normal" else f", {row['initializer']}"
    found = difference(row["summary"], row["summary_2"], published=published)
    return {
        **{name: row[name] for name in ("dataset_label", "train_examples", "method", "method_label")},
        **{name: row[name] for name in ("augmentation", "dropout_rate", "initializer", "model")},
        "dataset": row["dataset_shown"],
        "differing": differing,
        "label": f"{row['model']} [{differing}]" if differing else row["model"],
        "condition": row["condition"] + initializer,
        "first": row["summary"],
        "second": row["summary_2"],
        "difference": found,
        "word": word_for(found),
    }


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
