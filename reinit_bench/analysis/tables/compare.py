"""Two sources of runs side by side: by cell the difference of two means, and whether one reproduces the other.

`tables --compare` builds it, since every other table has one source.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame import notes
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import distinguishing_settings, natural, plural
from reinit_bench.analysis.frame.methods import method_order
from reinit_bench.analysis.frame.settings import as_dicts
from reinit_bench.analysis.stats.summary import Estimate, Summary, estimate, summaries, t_quantile
from reinit_bench.analysis.tables.table import Cell, Row, Table, estimate_cell, score_cell

WIDEST = 2.0
"""Percentage points: with an interval that reaches farther to each side, no difference can be ruled out."""

REPRODUCED, NOT_REPRODUCED, UNTOLD = "reproduced", "not reproduced", "cannot be told"

_LEGEND = (
    "test accuracy [%], mean ± standard deviation (number of seeds)",
    f"{REPRODUCED}: the 95% interval of B − A contains 0 and reaches at most {WIDEST:.0f} points to each side; "
    f"{NOT_REPRODUCED}: it does not contain 0; {UNTOLD}: it is wider, or there is none",
)
_WELCH = "where A and B have several seeds each, the interval is Welch's"
_SINGLE = "where one has a single run, that is taken to spread as the other's runs do; where both have, there is none"
_PUBLISHED = (
    "a published number is taken as exact, since its spread is not known: the interval is that of the runs' mean "
    "alone, and so too narrow"
)
_MANY = f"the intervals are many and not corrected for that: of cells that agree, one in twenty is {NOT_REPRODUCED}"
_FIELDS = (
    *("dataset", "model", "condition", "method", "n_a", "mean_a", "std_a", "n_b", "mean_b", "std_b"),
    *("difference", "half_width", "verdict"),
)
_CELL = ("dataset", "label", "condition", "method", "method_label", "first", "second", "difference", "word")
_CONDITION = ("augmentation", "dropout", "dropout_rate", "initializer")
_IN_PAPER = ("dataset_label", "train_examples", "model", "method", "augmentation", "dropout_rate", "initializer")
"""Columns by which a run is the counterpart of a published number."""


def compare_table(first: Collection, second: Collection, names: tuple[str, str]) -> Table:
    """Every cell that both sources have; `names` are what the user calls them."""
    cells, only_first, only_second = compare_sources(first, second)
    return Table(
        name="compare",
        caption=f"Two sources compared: A is {names[0]}, B is {names[1]}",
        headings=("Dataset", "Model", "Condition", "Method"),
        columns=("A", "B", "B − A", "Verdict"),
        rows=tuple(map(_row, cells.itertuples())),
        notes=(
            *(_how(first, second, cells) if len(cells) else ["no cell is in both"]),
            *(f"only in {name}: {plural(n, 'cell')}" for name, n in (("A", only_first), ("B", only_second)) if n),
            *_about("A", first),
            *_about("B", second),
        ),
        data=pd.DataFrame(list(map(_record, cells.itertuples())), columns=_FIELDS),
    )


def compare_sources(first: Collection, second: Collection) -> tuple[pd.DataFrame, int, int]:
    """A row for each cell that both sources have, in the order of the tables, and how many are in one of them alone.

    `dataset`, `label`, `condition` and `method_label` are what tables call it; `first` and `second` are the sources'
    summaries, `difference` is the second's from the first's, and `word` says what that means.

    Runs of two stores are of one cell where they agree in every setting but the seed. A published number is compared
    with the runs of its dataset, model, method (at its defaults) and condition, whatever their other settings are.
    """
    of_paper = bool(first.source or second.source)
    settings = list(dict.fromkeys((*first.settings, *second.settings)))
    match = list(_IN_PAPER) if of_paper else settings
    ours, theirs = _cells((first, second), settings, of_paper)
    theirs = theirs[[*match, "differing", "summary"]].assign(place=range(len(theirs)))
    both = ours.merge(theirs, how="left", on=match, suffixes=("", "_2"), indicator=True)
    alone = both["_merge"] == "left_only"
    found = [_compared(cell, published=of_paper) for cell in sorted(as_dicts(both[~alone]), key=_place)]
    return pd.DataFrame(found, columns=_CELL), int(alone.sum()), len(theirs) - both["place"].nunique()


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
    """REPRODUCED, NOT_REPRODUCED or UNTOLD."""
    if found.margin is None:
        return UNTOLD
    if abs(found.value) > found.margin:
        return NOT_REPRODUCED
    return REPRODUCED if found.margin <= WIDEST else UNTOLD


def _cells(sides: Sequence[Collection], settings: Sequence[str], of_paper: bool) -> Iterator[pd.DataFrame]:
    """Of each side a run of each cell with the `summary` of all; `differing` tells it from others of its model."""
    frames = [side.frame for side in sides]
    if of_paper:  # what may be the counterpart of a published number, or is one
        frames = [side.default_images[side.default_images["train_examples"].isna()] for side in sides]
    runs = pd.concat([frame.astype(object).assign(side=place) for place, frame in enumerate(frames)], ignore_index=True)
    runs = runs.reindex(columns=list(dict.fromkeys([*runs, *settings]))).assign(differing="")
    # What the published numbers do not say of their settings must not count as a difference between runs.
    stored = runs[runs["side"].map(lambda side: sides[side].source is None).astype(bool)]
    runs.loc[stored.index, "differing"] = distinguishing_settings(
        stored, [one for one in settings if one not in _CONDITION]
    )
    keys = ["side", *settings]
    cells = runs.drop_duplicates(keys)
    scores = list(summaries(runs.astype({"test_accuracy": float}), keys).values())
    cells = cells.assign(summary=pd.Series(scores, cells.index, dtype=object))
    return (cells[cells["side"] == side] for side in range(len(sides)))


def _place(cell: Mapping[str, Any]) -> tuple[Any, ...]:
    condition = str(cell["augmentation"]), cell["dropout_rate"], str(cell["initializer"])
    differing = cell["differing"].count("="), natural(cell["differing"])
    return cell["order"], *differing, *condition, method_order(cell["method"])


def _compared(cell: Mapping[str, Any], *, published: bool) -> tuple[object, ...]:
    """A cell, described by the side that has settings to tell."""
    differing = max(cell["differing"], cell["differing_2"], key=len)
    label = f"{cell['model']} [{differing}]" if differing else cell["model"]
    condition = cell["condition"] + ("" if cell["initializer"] == "he_normal" else f", {cell['initializer']}")
    names = cell["dataset_shown"], label, condition, cell["method"], cell["method_label"]
    found = difference(cell["summary"], cell["summary_2"], published=published)
    return *names, cell["summary"], cell["summary_2"], found, word_for(found)


def _how(first: Collection, second: Collection, cells: pd.DataFrame) -> Iterator[str]:
    counts = Counter(cells["word"])
    words = ", ".join(f"{counts[word]} {word}" for word in (REPRODUCED, NOT_REPRODUCED, UNTOLD) if counts[word])
    yield f"{plural(len(cells), 'cell')}: {words}"
    yield from _LEGEND
    if first.source or second.source:
        yield _PUBLISHED
    else:
        yield _WELCH
        if any(one.n == 1 for one in (*cells["first"], *cells["second"])):
            yield _SINGLE
    if len(cells) > 1:
        yield _MANY
    if same := len(_identities(first) & _identities(second)):
        yield f"{plural(same, 'run')} of the same id and accuracy in both: copies reproduce nothing"


def _identities(side: Collection) -> set[tuple[Any, ...]]:
    """The runs by id and accuracy; published numbers have no id."""
    known = side.frame.reindex(columns=["run_id", "test_accuracy"]).dropna()
    return set(known.itertuples(index=False, name=None))


def _about(name: str, side: Collection) -> list[str]:
    """What a reader must know of a source: which numbers it has, how its runs were trained, and what is left out."""
    runs = [side.source] if side.source else notes.settings_unlike_paper(side.frame)
    return [f"{name}: {line}" for line in (*runs, *notes.left_out(side))]


def _row(cell: Any) -> Row:
    means = (score_cell(one, 2, one.n) for one in (cell.first, cell.second))
    headings = cell.dataset, cell.label, cell.condition, cell.method_label
    return Row(headings, (*means, estimate_cell(cell.difference, 2), Cell(cell.word)))


def _record(cell: Any) -> tuple[object, ...]:
    names = cell.dataset, cell.label, cell.condition, cell.method
    return *names, *cell.first.for_csv, *cell.second.for_csv, *cell.difference.for_csv, cell.word
