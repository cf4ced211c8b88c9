"""Table 1 by other interpretations of the paper: which fits better, and every cell. Built when they are named.

An interpretation changes one setting of the default; where the paper is silent, either could be what it did. Its
distance is the root mean square, over the cells that it changes and the paper prints, of ours minus the paper's in
units of one spread per cell: sqrt(ours^2 + published^2), ours under the default, so that an interpretation is not
nearer for being noisier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import assignments
from reinit_bench.analysis.frame.settings import SWITCHES, as_dicts, different
from reinit_bench.analysis.synthetic.comparison import SETTINGS, changes, compared
from reinit_bench.analysis.synthetic.table_1 import published_cells
from reinit_bench.analysis.tables.table import Cell, Row, Table

_START = "no finished runs of it; start with: reinit-bench -m study=readings"
_DISTANCES_LEGEND = (
    "distance: root mean square difference from the paper, in units of sqrt(ours^2 + published^2) under the "
    "default; change ± its standard error, seeds and published means drawn anew; by seeds: that error by our "
    "seeds alone; n: seeds, the fewest of a cell"
)
_CELLS_LEGEND = (
    "difference: ours minus the paper's in combined standard deviations, ± its standard error by our seeds; "
    "—: lost in our copy of the paper"
)

DEFAULT = "default"
"""The interpretation that changes nothing."""

_ABLATIONS = [f"{name}={str(not value).lower()}" for name, value in SWITCHES.items()]
"""Appendix F's changes: no interpretations of the paper."""

_DRAWS = 2000
_SURE = 2.0
"""Standard errors from which on two distances count as different."""


def distances_table(collection: Collection) -> Table:
    """One row per interpretation: its distance from Table 1's cells next to the default's."""
    found = distances(interpretation_runs(collection.frame))
    return Table(
        name="1-readings",
        caption="Readings of the paper: distance from the cells of Table 1 that they change, and the default's",
        headings=("Reading",),
        columns=("cells", "n", "default", "reading", "change", "by seeds", "verdict"),
        rows=tuple(map(_distance_row, as_dicts(found))),
        notes=(_START if found.empty else _DISTANCES_LEGEND,),
        data=found,
    )


def cells_table(collection: Collection) -> Table:
    """One row per cell of Table 1 and interpretation that changes it."""
    found = interpreted_cells(interpretation_runs(collection.frame))
    return Table(
        name="1-readings-cells",
        caption="Table 1 by reading of the paper: test accuracy [%]",
        headings=("Method", "Reading", "Alpha", "n"),
        columns=("ours", "paper", "difference"),
        rows=tuple(map(_cell_row, as_dicts(found))),
        notes=(_START if found.empty else _CELLS_LEGEND,),
        data=found,
    )


BY_NAME = {"1-readings": distances_table, "1-readings-cells": cells_table}


def interpretation_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs that change at most one of Table 1's settings, with that in a column `changed`; of a collection."""
    runs = frame[(frame["dataset"] == "synthetic") & frame["method"].isin(list(paper.LETTERS))]
    if "dataset.alpha" not in runs:  # there is no run on these data
        runs = runs.assign(**{"dataset.alpha": float("nan")})
    # None where several settings are changed at once: that is no interpretation of its own.
    shared = different(runs, SETTINGS)
    known = zip(as_dicts(runs), shared.to_numpy(), changes(runs), strict=True)
    words = [_changed(run, [*shared.columns[row], *own]) for run, row, own in known]
    changed = pd.Series(words, index=runs.index, dtype=object)
    return runs.assign(changed=changed)[changed.notna() & ~changed.isin(_ABLATIONS)]


def _changed(run: Mapping[str, Any], columns: Sequence[str]) -> str | None:
    found = assignments(run, columns)
    return None if len(found) > 1 else "".join(found) or DEFAULT


def interpreted_cells(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per cell of Table 1 and interpretation of `interpretation_runs` that changes it, as `compared`."""
    percent = runs.assign(percent=100 * runs["test_accuracy"])
    groups = percent.groupby(["dataset.alpha", "method", "changed"])["percent"]
    # By functions: pandas' own group means differ from a series' in the last bit, which the CSV has.
    ours = groups.agg(n="size", mean=lambda one: one.mean(), std=lambda one: one.std()).reset_index()
    cells = compared(ours, published_cells())
    shown = ["method", "alpha", "changed", "n", "mean", "std", "published", "difference", "error"]
    return cells[cells["n"] > 0].sort_values(shown[:3])[shown].reset_index(drop=True)


def distances(runs: pd.DataFrame) -> pd.DataFrame:
    """A row per interpretation: its distance and the default's, over the cells and seeds that both have.

    `cells` is how many of Table 1's it changes, `n` the fewest seeds of one. `error` is the standard error of the
    difference of the two distances: seeds are drawn anew in pairs, and each published mean anew with its published
    standard deviation, as if it were that of one run (the paper does not say of how many). `by_seeds` is the same by
    our seeds alone: what more of them could make smaller.

    Args:
        runs: as `interpretation_runs` gives them.
    """
    published = published_cells().dropna(subset="published").set_index(["method", "alpha"])
    cells: dict[str, dict[Any, pd.Series]] = {}
    for (changed, *cell), group in runs.groupby(["changed", "method", "dataset.alpha"]):
        if tuple(cell) in published.index:
            cells.setdefault(str(changed), {})[tuple(cell)] = 100 * group.set_index("seed")["test_accuracy"]
    default = cells.pop(DEFAULT, {})
    rows = [row for name, own in sorted(cells.items()) for row in _distances_of(name, default, own, published)]
    return pd.DataFrame(rows)


def _distances_of(
    name: str, default: Mapping[Any, pd.Series], own: Mapping[Any, pd.Series], published: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    """One row, or none where a cell has fewer than two seeds that both have."""
    places = [place for place in own if place in default]
    pairs = [pd.concat([default[place], own[place]], axis=1, join="inner").to_numpy() for place in places]
    fewest = min(map(len, pairs), default=0)
    if fewest < 2:
        return
    theirs, spreads = published.loc[places, ["published", "published_std"]].to_numpy().T
    units = np.hypot([default[place].std() for place in places], spreads)
    generator = np.random.default_rng(0)
    drawn = np.stack([_resampled(pair, generator) for pair in pairs], axis=1)
    theirs_drawn = theirs + spreads * generator.standard_normal((_DRAWS, len(places)))
    at_default, at_own = map(float, _root_mean_squares(np.array([pair.mean(0) for pair in pairs]), theirs, units))
    error, by_seeds = (
        float(np.diff(_root_mean_squares(drawn, them, units), axis=-1).std(ddof=1)) for them in (theirs_drawn, theirs)
    )
    yield {
        "changed": name,
        "cells": len(places),
        "n": fewest,
        "default": at_default,
        "reading": at_own,
        "error": error,
        "by_seeds": by_seeds,
        "verdict": _verdict(at_own - at_default, error),
    }


def _verdict(change: float, error: float) -> str:
    if abs(change) <= _SURE * error:
        return "cannot be told apart"
    return "fits better" if change < 0 else "fits worse"


def _resampled(pair: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Means over seeds drawn with replacement, both columns with the same ones; shape (draws, 2)."""
    chosen = generator.integers(len(pair), size=(_DRAWS, len(pair)))
    return np.asarray(pair[chosen].mean(1))


def _root_mean_squares(means: np.ndarray, theirs: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Distances over cells, shape (..., 2); `means` has shape (..., cells, 2)."""
    off = (means - theirs[..., None]) / units[:, None]
    return np.asarray(np.sqrt((off**2).mean(-2)))


def _distance_row(one: Mapping[str, Any]) -> Row:
    cells = (
        Cell(str(one["cells"])),
        Cell(str(one["n"])),
        Cell(f"{one['default']:.2f}"),
        Cell(f"{one['reading']:.2f}"),
        Cell(f"{one['reading'] - one['default']:+.2f}", spread=f"{one['error']:.2f}"),
        Cell(f"{one['by_seeds']:.2f}"),
        Cell(one["verdict"]),
    )
    return Row((one["changed"],), cells)


def _cell_row(one: Mapping[str, Any]) -> Row:
    cells = (
        Cell(_text(one["mean"], ".1f"), _text(one["std"], ".1f") or ""),
        Cell(_text(one["published"], ".1f")),
        Cell(_text(one["difference"], "+.2f"), _text(one["error"], ".2f") or ""),
    )
    return Row((one["method"], one["changed"], f"{one['alpha']:g}", str(one["n"])), cells)


def _text(number: float | None, form: str) -> str | None:
    return None if number is None else format(number, form)
