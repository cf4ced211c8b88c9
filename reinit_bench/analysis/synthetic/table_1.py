"""Table 1: the synthetic data of Section 1.1, our runs next to the paper's values."""

from __future__ import annotations

import pandas as pd

from reinit_bench.analysis.frame import notes, paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.synthetic.comparison import (
    ALLOWED,
    agreement,
    changes,
    compared,
    rounded,
    scores,
    synthetic_runs,
    table_rows,
)
from reinit_bench.analysis.tables.table import Table

_LEGEND = "test accuracy [%], mean ± standard deviation over n seeds; —: missing, or lost in our copy of the paper"
_MEASURE = "combined standard deviations, sqrt(ours^2 + published^2)"
_START = "no finished run of it; start with: reinit-bench -m study=table1"


def signal_table(collection: Collection) -> Table:
    """Table 1 from the runs of `study=table1`."""
    runs = synthetic_runs(collection.frame)
    runs = runs[changes(runs).map(len).eq(0)]
    cells = compared(scores(runs, "dataset.alpha"), published_cells())
    return Table(
        name="table1",
        caption="Table 1: test accuracy [%] on the synthetic data of Section 1.1, by strength of the signal",
        headings=("Alpha", "Source", "n"),
        columns=tuple(name.upper() for name in paper.LETTERS),
        rows=tuple(table_rows(cells)),
        best="the best of its row as printed",
        notes=(
            _LEGEND,
            agreement(cells, _MEASURE),
            *_strictness(cells),
            *([] if len(runs) else [_START]),
            *notes.mixed_code(runs),
        ),
        data=rounded(cells).assign(published_std=cells["published_std"]),
    )


TABLES = {1: signal_table}


def published_cells() -> pd.DataFrame:
    """Table 1 as `compared` takes it."""
    return paper.published(1).rename(columns={"mean": "published", "std": "published_std"})


def _strictness(cells: pd.DataFrame) -> list[str]:
    """What the verdict does not say: how much of it is due to our own spread."""
    off = (cells["points"].abs() / cells["published_std"].where(cells["published_std"] > 0)).dropna()
    if off.empty:
        return []
    return [
        "both standard deviations are those of single runs over seeds, so that the verdict asks whether the paper's "
        "mean could be a run of ours; the paper does not say how many seeds its means average, so that the means "
        "themselves cannot be tested against each other; by the published spread alone, "
        f"{int((off <= ALLOWED).sum())} of {len(off)} are within {ALLOWED:g}"
    ]
