"""What the tables of the synthetic study share: its settings, and our numbers compared with the paper's.

A comparison is a frame with a row per cell of a published table: the value of its row (strength of the signal,
penalty), the `method`, our `n`, `mean` and `std`, the paper's `published` and `published_std`, in percent, NaN where
there is none; and `points` (ours minus the paper's), `spread` (the root of the sum of both variances; ours alone where
the paper prints none), `difference` (points in spreads) and `error` (its standard error by our seeds).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from reinit_bench.analysis.frame.settings import REPEATS, as_dicts, without_difference
from reinit_bench.analysis.stats.summary import Summary
from reinit_bench.analysis.tables.table import Cell, Row, mark_best, most_runs, score_cells

SETTINGS: Mapping[str, Any] = {
    "model": "mlp",
    "model.hidden": "[32, 32]",
    "width": 1.0,
    "initializer": "xavier_uniform",
    "train_examples": 256,
    "dataset.features": 128,
    "dataset.label_noise": 0.0,
    "dataset.imbalance": 1.0,
    "dataset.growth": None,
    "dropout_rate": 0.0,
    "precision": "fp32",
    "trainer.lr": 0.05,
    "trainer.momentum": 0.0,
    "trainer.weight_decay": 0.0,
    "trainer.batch_size": 256,
    "trainer.max_steps": 200,
    "trainer.validation_fraction": 0.0,
    "trainer.optimizer": "sgd",
    "trainer.optimizer_between_rounds": "fresh",
    "trainer.schedule": "plateau",
    "trainer.warmup_steps": 0,
    "trainer.round_weights": "last",
    REPEATS: 3,
}
"""Columns of a collection and their values in the runs of `study=table1`; all else of a method is at its defaults."""

ALLOWED = 2.0
"""Combined standard deviations within which a cell counts as reproduced."""


def synthetic_runs(frame: pd.DataFrame, settings: Mapping[str, Any] = SETTINGS) -> pd.DataFrame:
    """The runs on synthetic data that differ in none of these settings."""
    return without_difference(frame[frame["dataset"] == "synthetic"], settings)


def changes(runs: pd.DataFrame) -> pd.Series:
    """For each row the columns of its method's settings that are not at the defaults, but for how often it repeats."""
    return runs["changed"].map(lambda columns: [name for name in columns if name != REPEATS])


def compared(ours: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Our `n`, `mean` and `std` beside a published table.

    Args:
        ours: has the value of the row and the method as its first two columns, whatever they are called.
        published: so too; then `published` and, where the paper has it, `published_std`.
    """
    names = dict(zip(ours.columns[:2], published.columns[:2], strict=True))
    cells = published.merge(ours.rename(columns=names), how="left", on=list(names.values()))
    if "published_std" not in cells:
        cells["published_std"] = np.nan
    cells["n"] = cells["n"].fillna(0).astype(int)
    cells["points"] = cells["mean"].astype(float) - cells["published"]
    spread = (cells["std"].astype(float) ** 2 + cells["published_std"].fillna(0.0) ** 2) ** 0.5
    cells["spread"] = spread.where(spread > 0)
    cells["difference"] = cells["points"] / cells["spread"]
    cells["error"] = cells["std"] / np.sqrt(cells["n"].where(cells["n"] > 0)) / cells["spread"]
    return cells.assign(error=cells["error"].where(cells["difference"].notna()))


def scores(runs: pd.DataFrame, row: str, column: str = "method") -> pd.DataFrame:
    """Our `n`, `mean` and `std` in percent by the values of two columns."""
    known = runs.reindex(columns=[row, column, "test_accuracy"])  # a store without such runs may lack a column
    found = known.groupby([row, column])["test_accuracy"].agg(["size", "mean", "std"]).reset_index()
    found[["mean", "std"]] *= 100
    return found.rename(columns={"size": "n"})


def table_rows(cells: pd.DataFrame) -> Iterator[Row]:
    """For each row of the paper's table ours, the paper's, and the difference, where ours has runs."""
    for value, group in cells.groupby(cells.columns[0], sort=False):
        own = [summary_of(cell) for cell in as_dicts(group)]
        heading = f"{value:g}"
        if any(own):
            yield Row((heading, "ours", str(most_runs(own))), score_cells(own, best=all(own)))
        yield Row((heading, "paper", ""), _published(group), published=True)
        if any(own):
            texts = [None if pd.isna(number) else f"{number:+.1f}" for number in group["difference"]]
            yield Row((heading, "difference in spreads", ""), tuple(map(Cell, texts)))


def rounded(cells: pd.DataFrame) -> pd.DataFrame:
    """The comparison as its CSV has it."""
    return cells[[*cells.columns[:2], "n", "mean", "std", "published"]].round({"mean": 4, "std": 4})


def agreement(cells: pd.DataFrame, measure: str) -> str:
    """How many cells that both have lie within `ALLOWED` spreads, which `measure` describes, and which do not."""
    known = cells[cells["difference"].notna()]
    outside = known[known["difference"].abs() > ALLOWED]
    said = [
        f"{method} at {value:g} ({off:+.1f})"
        for value, method, off in zip(outside.iloc[:, 0], outside["method"], outside["difference"], strict=True)
    ]
    words = f"{len(known) - len(outside)} of {len(known)} cells within {ALLOWED:g} {measure}"
    lacking = int(cells["published"].notna().sum()) - len(known)
    missing = f"; {lacking} published cells cannot be compared yet" if lacking else ""
    return words + missing + (f"; outside: {', '.join(said)}" if said else "")


def summary_of(cell: Mapping[str, Any]) -> Summary | None:
    """Our `n`, `mean` and `std` of a row."""
    return Summary(int(cell["n"]), cell["mean"], cell["std"]) if cell["n"] else None


def _published(cells: pd.DataFrame) -> tuple[Cell, ...]:
    """The paper's cells; with a value lost, nobody knows which was the best."""
    means, spreads = (
        ["" if pd.isna(value) else f"{value:.1f}" for value in cells[name]] for name in ("published", "published_std")
    )
    printed = [Cell(mean, spread) if mean else Cell() for mean, spread in zip(means, spreads, strict=True)]
    return tuple(printed) if Cell() in printed else mark_best(printed)
