"""Table 1 by other interpretations of the paper: which fits better, and every cell. Built when they are named."""

from __future__ import annotations

import math
from dataclasses import asdict

import pandas as pd

from reinit_bench.analysis.runs.collect import Collection
from reinit_bench.analysis.synthetic.fit import Fit, fits
from reinit_bench.analysis.synthetic.interpretations import InterpretedCell, interpretation_runs, interpreted_cells
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
    found = list(interpreted_cells(interpretation_runs(collection.frame)))
    return Table(
        name="1-readings-cells",
        caption="Table 1 by reading of the paper: test accuracy [%]",
        headings=("Method", "Reading", "Alpha", "n"),
        columns=("ours", "paper", "difference"),
        rows=tuple(map(_cell_row, found)),
        notes=(_CELLS_LEGEND if found else _START,),
        data=pd.DataFrame([asdict(one) for one in found]),
    )


BY_NAME = {"1-readings": fits_table, "1-readings-cells": cells_table}


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


def _cell_row(one: InterpretedCell) -> Row:
    cells = (
        Cell(f"{one.mean:.1f}", spread=f"{one.std:.1f}"),
        Cell(_text(one.published, ".1f")),
        Cell(_text(one.difference, "+.2f"), spread=_text(one.error, ".2f") or ""),
    )
    return Row((one.method, one.changed, f"{one.alpha:g}", str(one.n)), cells)


def _text(number: float, form: str) -> str | None:
    return None if math.isnan(number) else format(number, form)
