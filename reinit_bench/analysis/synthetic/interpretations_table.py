"""Table 1 by other interpretations of the paper: which fits better, and every cell. Built when they are named.

An interpretation changes one setting of the default; where the paper is silent, either could be what it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import assignments
from reinit_bench.analysis.frame.settings import SWITCHES, as_dicts, different
from reinit_bench.analysis.stats.summary import Summary
from reinit_bench.analysis.synthetic.comparison import SETTINGS, changes, compared
from reinit_bench.analysis.synthetic.fit import DEFAULT, Fit, fits
from reinit_bench.analysis.tables.table import Cell, Row, Table

_START = "no finished runs of it; start with: reinit-bench -m study=readings"
_FITS_LEGEND = (
    "distance: root mean square difference from the paper, in units of sqrt(ours^2 + published^2) under the "
    "default; change ± its standard error, seeds and published means drawn anew; by seeds: that error by our "
    "seeds alone; n: seeds, the fewest of a cell"
)
_CELLS_LEGEND = (
    "difference: ours minus the paper's in combined standard deviations, ± its standard error by our seeds; "
    "—: lost in our copy of the paper"
)

_ABLATIONS = [f"{name}={str(not value).lower()}" for name, value in SWITCHES.items()]
"""Appendix F's changes: no interpretations of the paper."""


def fits_table(collection: Collection) -> Table:
    """One row per interpretation: its distance from Table 1's cells next to the default's."""
    found = fits(interpretation_runs(collection.frame))
    data = pd.DataFrame([{**asdict(one), "verdict": one.words} for one in found])
    return Table(
        name="1-readings",
        caption="Readings of the paper: distance from the cells of Table 1 that they change, and the default's",
        headings=("Reading",),
        columns=("cells", "n", "default", "reading", "change", "by seeds", "verdict"),
        rows=tuple(map(_fit_row, found)),
        notes=(_FITS_LEGEND if found else _START,),
        data=data.rename(columns={"interpretation": "reading"}),
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


BY_NAME = {"1-readings": fits_table, "1-readings-cells": cells_table}


def interpretation_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs that change at most one of Table 1's settings, with that in a column `changed`; of a collection."""
    runs = frame[(frame["dataset"] == "synthetic") & frame["method"].isin(list(paper.LETTERS))]
    if "dataset.alpha" not in runs:  # there is no run on these data
        runs = runs.assign(**{"dataset.alpha": float("nan")})
    # None where several settings are changed at once: that is no interpretation of its own.
    known = zip(as_dicts(runs), changes(runs), strict=True)
    changed = pd.Series([_changed(run, own) for run, own in known], index=runs.index, dtype=object)
    return runs.assign(changed=changed)[changed.notna() & ~changed.isin(_ABLATIONS)]


def _changed(run: Mapping[str, Any], own: Sequence[str]) -> str | None:
    found = assignments(run, [*different(run, SETTINGS), *own])
    return None if len(found) > 1 else "".join(found) or DEFAULT


def interpreted_cells(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per cell of Table 1 and interpretation of `interpretation_runs` that changes it.

    Accuracies are in percent, `difference` (ours minus the paper's) and `error` (its standard error, by our seeds
    alone) in combined standard deviations.
    """
    published = {(alpha, name): cell for alpha, name, *cell in paper.published(1).itertuples(index=False)}
    found = []
    for (method, alpha, changed), group in runs.groupby(["method", "dataset.alpha", "changed"]):
        if (alpha, method) in published:
            ours = Summary.of(100 * group["test_accuracy"])
            cell = compared(ours, *published[alpha, method])
            names = {"method": method, "alpha": alpha, "changed": changed}
            comparison = {"published": cell.published, "difference": cell.difference, "error": cell.error}
            found.append({**names, **asdict(ours), **comparison})
    return pd.DataFrame(found)


def _fit_row(one: Fit) -> Row:
    cells = (
        Cell(str(one.cells)),
        Cell(str(one.n)),
        Cell(f"{one.default:.2f}"),
        Cell(f"{one.interpretation:.2f}"),
        Cell(f"{one.interpretation - one.default:+.2f}", spread=f"{one.error:.2f}"),
        Cell(f"{one.by_seeds:.2f}"),
        Cell(one.words),
    )
    return Row((one.changed,), cells)


def _cell_row(one: Mapping[str, Any]) -> Row:
    cells = (
        Cell(_text(one["mean"], ".1f"), _text(one["std"], ".1f") or ""),
        Cell(_text(one["published"], ".1f")),
        Cell(_text(one["difference"], "+.2f"), _text(one["error"], ".2f") or ""),
    )
    return Row((one["method"], one["changed"], f"{one['alpha']:g}", str(one["n"])), cells)


def _text(number: float | None, form: str) -> str | None:
    return None if number is None else format(number, form)
