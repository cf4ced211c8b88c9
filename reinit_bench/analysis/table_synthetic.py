"""Table 1: the synthetic data of Section 1.1, our runs beside the paper's values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reinit_bench.analysis import notes, paper
from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.layout import Cell, Row, Table
from reinit_bench.analysis.lines import Summary

_LEGEND = "test accuracy [%], mean ± standard deviation over n seeds; —: missing, or lost in our copy of the paper"
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

_ALLOWED = 2.0
"""Combined standard deviations within which a cell counts as reproduced."""


@dataclass(frozen=True)
class Pair:
    """A cell, ours and the paper's, in percent; None where there is none."""

    ours: Summary | None
    published: float | None
    published_std: float | None = None

    @property
    def spread(self) -> float | None:
        """The combined standard deviation: the root of the sum of both variances."""
        if self.ours is None or self.ours.std is None or self.published_std is None:
            return None
        return math.hypot(self.ours.std, self.published_std)

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's, in combined standard deviations."""
        if self.ours is None or self.published is None or not self.spread:
            return None
        return (self.ours.mean - self.published) / self.spread


Pairs = Mapping[float, Mapping[str, Pair]]
"""By alpha and method."""


def table1(collection: Collection) -> Table:
    """Table 1 from the runs of `study=table1`."""
    runs = _selected(collection.frame)
    found = _summaries(runs)
    pairs: dict[float, dict[str, Pair]] = {}
    for alpha, method, mean, std in paper.published(1).itertuples(index=False):
        pairs.setdefault(alpha, {})[method] = Pair(found.get((alpha, method)), _known(mean), _known(std))
    labels = {name: name.upper() for name in paper.LETTERS}
    fields = ("alpha", "method", "n", "mean", "std", "published", "published_std")
    return Table(
        name="table1",
        caption="Table 1: test accuracy [%] on the synthetic data of Section 1.1, by strength of the signal",
        headings=("Alpha", "Source", "n"),
        columns=tuple(labels.values()),
        rows=tuple(_rows(pairs)),
        best="the best of its row as printed",
        notes=notes.joined([_LEGEND, _verdict(pairs)], _start(runs), notes.mixed_code(runs)),
        data=pd.DataFrame([(*_record(*at), at[2].published_std) for at in _cells(pairs)], columns=fields),
    )


TABLES = {1: table1}


def _selected(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs on synthetic data whose settings are those of Table 1."""
    runs = frame[frame["dataset"] == "synthetic"]
    for column, value in SETTINGS.items():
        if column in runs:
            runs = runs[runs[column].isna() | (runs[column] == value)]
    return runs


def _summaries(runs: pd.DataFrame) -> dict[tuple[float, str], Summary]:
    """Mean and spread over seeds by alpha and method."""
    if runs.empty:
        return {}
    grouped = runs.groupby(["dataset.alpha", "method"])["test_accuracy"].agg(["size", "mean", "std"])
    return {
        (float(key[0]), str(key[1])): Summary(int(n), 100 * float(mean), None if math.isnan(std) else 100 * float(std))
        for key, (n, mean, std) in zip(grouped.index, grouped.to_numpy(), strict=True)
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _rows(pairs: Pairs) -> Iterator[Row]:
    """For each row of the paper's table ours, the paper's, and the difference, where ours has runs."""
    for value, cells in pairs.items():
        heading = f"{value:g}"
        counts = [pair.ours.n for pair in cells.values() if pair.ours]
        if counts:
            ours = [Cell() if p.ours is None else _cell(p.ours.mean, p.ours.std, p.ours.n) for p in cells.values()]
            yield Row((heading, "ours", str(max(counts))), _marked(ours, max(counts)))
        theirs = [_cell(pair.published, pair.published_std) for pair in cells.values()]
        yield Row((heading, "paper", ""), _marked(theirs), published=True)
        if counts:
            differences = [pair.difference for pair in cells.values()]
            texts = [Cell(None if value is None else f"{value:+.1f}") for value in differences]
            yield Row((heading, "difference in spreads", ""), tuple(texts))


def _cell(mean: float | None, std: float | None, count: int | None = None) -> Cell:
    if mean is None:
        return Cell()
    return Cell(f"{mean:.1f}", "" if std is None else f"{std:.1f}", count)


def _marked(cells: Sequence[Cell], most: int | None = None) -> tuple[Cell, ...]:
    """The cells with the best marked, where none is missing, and counts only where they are below `most`."""
    texts = [cell.text for cell in cells if cell.text is not None]
    best = max(texts, key=float) if len(texts) == len(cells) else None
    return tuple(
        Cell(cell.text, cell.spread, None if cell.count == most else cell.count, best is not None and cell.text == best)
        for cell in cells
    )


def _cells(pairs: Pairs) -> Iterator[tuple[float, str, Pair]]:
    for value, cells in pairs.items():
        for method, pair in cells.items():
            yield value, method, pair


def _record(value: float, method: str, pair: Pair) -> tuple[object, ...]:
    ours = pair.ours
    if ours is None:
        return value, method, 0, None, None, pair.published
    return value, method, ours.n, round(ours.mean, 4), None if ours.std is None else round(ours.std, 4), pair.published


def _verdict(pairs: Pairs) -> str:
    """How many of the cells that both have lie within two combined standard deviations, and which do not."""
    known = [(value, method, pair.difference) for value, method, pair in _cells(pairs) if pair.difference is not None]
    outside = [f"{method} at {value:g} ({off:+.1f})" for value, method, off in known if abs(off) > _ALLOWED]
    published = sum(pair.published is not None for _, _, pair in _cells(pairs))
    said = (
        f"{len(known) - len(outside)} of {len(known)} cells within {_ALLOWED:g} combined standard deviations, "
        "sqrt(ours^2 + published^2)"
    )
    missing = f"; {published - len(known)} published cells cannot be compared yet" if len(known) < published else ""
    return said + missing + (f"; outside: {', '.join(outside)}" if outside else "")


def _start(runs: pd.DataFrame) -> list[str]:
    return [] if len(runs) else ["no finished run of it; start with: reinit-bench -m study=table1"]
