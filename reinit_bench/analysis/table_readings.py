"""Table 1 under other readings of the paper: which fits better, and every cell. Built when they are named."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict

import pandas as pd

from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.layout import Cell, Row, Table
from reinit_bench.analysis.reading_verdicts import verdicts
from reinit_bench.analysis.readings import readings, with_changes

Builder = Callable[[Collection], Table]

_START = "no finished runs of it; start with: reinit-bench -m study=readings"


def verdicts_table(collection: Collection) -> Table:
    """One row per reading: its distance from Table 1's cells beside the default's."""
    found = verdicts(with_changes(collection.frame))
    rows = [
        Row(
            (one.changed,),
            (
                *(Cell(str(number)) for number in (one.cells, one.n)),
                *(Cell(f"{distance:.2f}") for distance in (one.default, one.reading)),
                Cell(f"{one.reading - one.default:+.2f}", spread=f"{one.error:.2f}"),
                Cell(f"{one.by_seeds:.2f}"),
                Cell(one.words),
            ),
        )
        for one in found
    ]
    return Table(
        name="1-readings",
        caption="Readings of the paper: distance from the cells of Table 1 that they change, and the default's",
        headings=("Reading",),
        columns=("cells", "n", "default", "reading", "change", "by seeds", "verdict"),
        rows=tuple(rows),
        best="",
        notes=_notes(
            found,
            "distance: root mean square difference from the paper, in units of sqrt(ours^2 + published^2) under the "
            "default; change ± its standard error, seeds and published means drawn anew; by seeds: that error by our "
            "seeds alone; n: seeds, the fewest of a cell",
        ),
        data=pd.DataFrame([{**asdict(one), "verdict": one.words} for one in found]),
    )


def cells_table(collection: Collection) -> Table:
    """One row per cell of Table 1 and reading that changes it."""
    found = readings(collection.frame)
    rows = [
        Row(
            (one.method, one.changed, f"{one.alpha:g}", str(one.n)),
            (
                Cell(f"{one.mean:.1f}", spread=f"{one.std:.1f}"),
                Cell(_or_lost(one.published, f"{one.published:.1f}")),
                Cell(_or_lost(one.difference, f"{one.difference:+.2f}"), spread=_or_none(one.error)),
            ),
        )
        for one in found
    ]
    return Table(
        name="1-readings-cells",
        caption="Table 1 by reading of the paper: test accuracy [%]",
        headings=("Method", "Reading", "Alpha", "n"),
        columns=("ours", "paper", "difference"),
        rows=tuple(rows),
        best="",
        notes=_notes(
            found,
            "difference: ours minus the paper's in combined standard deviations, ± its standard error by our seeds; "
            "—: lost in our copy of the paper",
        ),
        data=pd.DataFrame([asdict(one) for one in found]),
    )


def _notes(found: Sequence[object], said: str) -> tuple[str, ...]:
    return (said,) if found else (_START,)


def _or_lost(number: float, text: str) -> str | None:
    return None if math.isnan(number) else text


def _or_none(number: float) -> str:
    return "" if math.isnan(number) else f"{number:.2f}"


TABLES: dict[str, Builder] = {}
BY_NAME = {"1-readings": verdicts_table, "1-readings-cells": cells_table}
