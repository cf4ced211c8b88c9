"""What the tables of the synthetic study share: its settings, and our numbers compared with the paper's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame.settings import REPEATS, without_difference
from reinit_bench.analysis.stats.summary import Summary, summaries
from reinit_bench.analysis.tables.table import Cell, Row, mark_best, most_runs, score_cells

SETTINGS: Mapping[str, Any] = {
    "model": "mlp",
    "model.hidden": "[32, 32]",
    "width": 1.0,
    "initializer": "xavier_uniform",
    "train_examples": 256,
    "dataset.features": 128,
    "dropout_rate": 0.0,
    "precision": "fp32",
    "trainer.lr": 0.05,
    "trainer.momentum": 0.0,
    "trainer.weight_decay": 0.0,
    "trainer.batch_size": 256,
    "trainer.max_steps": 200,
    "trainer.validation_fraction": 0.0,
    REPEATS: 3,
}
"""Columns of a collection and their values in the runs of `study=table1`; all else of a method is at its defaults."""

ALLOWED = 2.0
"""Combined standard deviations within which a cell counts as reproduced."""

Place = tuple[float, str]
"""A cell's place: the row's value (strength of the signal, penalty) and the method."""


@dataclass(frozen=True)
class Comparison:
    """A cell, ours and the paper's, in percent; None where there is none."""

    ours: Summary | None
    published: float | None
    published_std: float | None = None

    @property
    def spread(self) -> float | None:
        """The combined standard deviation: the root of the sum of both variances; ours alone where none is printed."""
        if self.ours is None or self.ours.std is None:
            return None
        return math.hypot(self.ours.std, self.published_std or 0.0)

    @property
    def points(self) -> float | None:
        """Ours minus the paper's, in points (percent)."""
        return None if self.ours is None or self.published is None else self.ours.mean - self.published

    @property
    def difference(self) -> float | None:
        """The same in combined standard deviations."""
        return None if self.points is None or not self.spread else self.points / self.spread

    @property
    def error(self) -> float | None:
        """The difference's standard error, by our seeds alone."""
        if self.ours is None or self.ours.std is None or self.difference is None or not self.spread:
            return None
        return self.ours.std / math.sqrt(self.ours.n) / self.spread


Comparisons = Mapping[Place, Comparison]


def synthetic_runs(frame: pd.DataFrame, settings: Mapping[str, Any] = SETTINGS) -> pd.DataFrame:
    """The runs on synthetic data that differ in none of these settings."""
    return without_difference(frame[frame["dataset"] == "synthetic"], settings)


def changes(runs: pd.DataFrame) -> pd.Series:
    """For each row the columns of its method's settings that are not at the defaults, but for how often it repeats."""
    return runs["changed"].map(lambda columns: [name for name in columns if name != REPEATS])


def compared(ours: Summary | None, published: float, published_std: float = math.nan) -> Comparison:
    """Our score and the numbers of a published table in percent, NaN where they are lost or not printed."""
    known = [None if math.isnan(number) else number for number in (published, published_std)]
    return Comparison(ours, *known)


def scores_by_place(runs: pd.DataFrame, row: str, column: str = "method") -> dict[Place, Summary]:
    """Our scores by the values of two columns of the frame."""
    return {(float(value), str(name)): score for (value, name), score in summaries(runs, [row, column]).items()}


def rows(comparisons: Comparisons) -> Iterator[Row]:
    """For each row of the paper's table ours, the paper's, and the difference, where ours has runs."""
    for value, group in groupby(comparisons.items(), key=lambda item: item[0][0]):
        cells = [comparison for _, comparison in group]
        scores = [cell.ours for cell in cells]
        ran = any(scores)
        if ran:
            yield Row((f"{value:g}", "ours", str(most_runs(scores))), score_cells(scores, best=all(scores)))
        yield Row((f"{value:g}", "paper", ""), _published(cells), published=True)
        if ran:
            texts = [None if cell.difference is None else f"{cell.difference:+.1f}" for cell in cells]
            yield Row((f"{value:g}", "difference in spreads", ""), tuple(map(Cell, texts)))


def record(place: Place, comparison: Comparison) -> tuple[object, ...]:
    """A line of the CSV: place, n, mean, std, published."""
    ours = comparison.ours
    return *place, *((0, None, None) if ours is None else ours.rounded), comparison.published


def agreement(comparisons: Comparisons, measure: str) -> str:
    """How many cells that both have lie within `ALLOWED` spreads, which `measure` describes, and which do not."""
    known = {place: one.difference for place, one in comparisons.items() if one.difference is not None}
    outside = [f"{method} at {value:g} ({off:+.1f})" for (value, method), off in known.items() if abs(off) > ALLOWED]
    published = sum(one.published is not None for one in comparisons.values())
    words = f"{len(known) - len(outside)} of {len(known)} cells within {ALLOWED:g} {measure}"
    missing = f"; {published - len(known)} published cells cannot be compared yet" if len(known) < published else ""
    return words + missing + (f"; outside: {', '.join(outside)}" if outside else "")


def _published(cells: Sequence[Comparison]) -> tuple[Cell, ...]:
    """The paper's cells; with a value lost, nobody knows which was the best."""
    printed = [Cell() if one.published is None else _cell(one.published, one.published_std) for one in cells]
    return tuple(printed) if Cell() in printed else mark_best(printed)


def _cell(mean: float, std: float | None) -> Cell:
    return Cell(f"{mean:.1f}", "" if std is None else f"{std:.1f}")
