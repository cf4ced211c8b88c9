"""What the tables of the synthetic study share: its settings, pairs of our and the paper's numbers, and their rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reinit_bench.analysis.layout import Cell, Row
from reinit_bench.analysis.lines import Summary

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
    "method.repeats": 3,
    "method.fraction": 0.2,
    "method.scope": "kernels",
    "method.selection": "tensor",
    "method.fill": "initializer",
    "method.extent": "dense",
    "method.layerwise": False,
    "method.rescale": True,
    "method.normalize": True,
    "method.reinitialize": True,
    "method.freeze": False,
    "method.lambda_on_head": False,
    "method.first_round": "layerwise",
    "method.clear_lambdas_above": False,
    "method.schedule": None,
}
"""Columns of a collection and their values in the runs of `study=table1`; a run without such a setting passes."""

ALLOWED = 2.0
"""Combined standard deviations within which a cell counts as reproduced."""


@dataclass(frozen=True)
class Pair:
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
    def difference(self) -> float | None:
        """Ours minus the paper's, in combined standard deviations."""
        if self.ours is None or self.published is None or not self.spread:
            return None
        return (self.ours.mean - self.published) / self.spread


Pairs = Mapping[float, Mapping[str, Pair]]
"""By the row's value (strength of the signal, penalty) and method."""


def selected(frame: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """The runs on synthetic data with these settings; None lets only runs pass that have none."""
    runs = frame[frame["dataset"] == "synthetic"]
    for column, value in settings.items():
        if column in runs:
            runs = runs[runs[column].isna() | (runs[column] == value)]
    return runs


def summaries(runs: pd.DataFrame, row: str, column: str = "method") -> dict[tuple[float, str], Summary]:
    """Mean and spread over seeds by the values of two columns."""
    if runs.empty:
        return {}
    grouped = runs.groupby([row, column])["test_accuracy"].agg(["size", "mean", "std"])
    return {
        (float(key[0]), str(key[1])): Summary(int(n), 100 * float(mean), None if math.isnan(std) else 100 * float(std))
        for key, (n, mean, std) in zip(grouped.index, grouped.to_numpy(), strict=True)
    }


def rows(pairs: Pairs) -> Iterator[Row]:
    """For each row of the paper's table ours, the paper's, and the difference, where ours has runs."""
    for value, pair_of in pairs.items():
        heading = f"{value:g}"
        counts = [pair.ours.n for pair in pair_of.values() if pair.ours]
        if counts:
            ours = [Cell() if p.ours is None else cell(p.ours.mean, p.ours.std, p.ours.n) for p in pair_of.values()]
            yield Row((heading, "ours", str(max(counts))), marked(ours, max(counts)))
        theirs = [cell(pair.published, pair.published_std) for pair in pair_of.values()]
        yield Row((heading, "paper", ""), marked(theirs), published=True)
        if counts:
            differences = [pair.difference for pair in pair_of.values()]
            texts = [Cell(None if value is None else f"{value:+.1f}") for value in differences]
            yield Row((heading, "difference in spreads", ""), tuple(texts))


def cell(mean: float | None, std: float | None, count: int | None = None) -> Cell:
    """A cell with one digit after the point."""
    if mean is None:
        return Cell()
    return Cell(f"{mean:.1f}", "" if std is None else f"{std:.1f}", count)


def marked(cells: Sequence[Cell], most: int | None = None) -> tuple[Cell, ...]:
    """The cells with the best marked, where none is missing, and counts only where they are below `most`."""
    texts = [cell.text for cell in cells if cell.text is not None]
    best = max(texts, key=float) if len(texts) == len(cells) else None
    return tuple(
        Cell(cell.text, cell.spread, None if cell.count == most else cell.count, best is not None and cell.text == best)
        for cell in cells
    )


def cells(pairs: Pairs) -> Iterator[tuple[float, str, Pair]]:
    """All pairs with their places."""
    for value, pair_of in pairs.items():
        for method, pair in pair_of.items():
            yield value, method, pair


def record(value: float, method: str, pair: Pair) -> tuple[object, ...]:
    """A line of the CSV: place, n, mean, std, published."""
    ours = pair.ours
    if ours is None:
        return value, method, 0, None, None, pair.published
    return value, method, ours.n, round(ours.mean, 4), None if ours.std is None else round(ours.std, 4), pair.published


def verdict(pairs: Pairs, measure: str) -> str:
    """How many cells that both have lie within `ALLOWED` spreads, which `measure` describes, and which do not."""
    known = [(value, method, pair.difference) for value, method, pair in cells(pairs) if pair.difference is not None]
    outside = [f"{method} at {value:g} ({off:+.1f})" for value, method, off in known if abs(off) > ALLOWED]
    published = sum(pair.published is not None for _, _, pair in cells(pairs))
    said = f"{len(known) - len(outside)} of {len(known)} cells within {ALLOWED:g} {measure}"
    missing = f"; {published - len(known)} published cells cannot be compared yet" if len(known) < published else ""
    return said + missing + (f"; outside: {', '.join(outside)}" if outside else "")


def known(value: float) -> float | None:
    """A number of a published table; None where it is lost."""
    return None if math.isnan(value) else value
