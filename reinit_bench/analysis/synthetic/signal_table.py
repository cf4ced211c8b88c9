"""Table 1: the synthetic data of Section 1.1, our runs next to the paper's values."""

from __future__ import annotations

import pandas as pd

from reinit_bench.analysis.frame import notes, paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.synthetic import comparison
from reinit_bench.analysis.synthetic.comparison import ALLOWED, Comparisons
from reinit_bench.analysis.tables.table import Table

_LEGEND = "test accuracy [%], mean ± standard deviation over n seeds; —: missing, or lost in our copy of the paper"
_MEASURE = "combined standard deviations, sqrt(ours^2 + published^2)"
_START = "no finished run of it; start with: reinit-bench -m study=table1"
_FIELDS = ("alpha", "method", "n", "mean", "std", "published", "published_std")


def signal_table(collection: Collection) -> Table:
    """Table 1 from the runs of `study=table1`."""
    runs = comparison.synthetic_runs(collection.frame)
    runs = runs[comparison.changes(runs).map(len).eq(0)]
    ours = comparison.scores_by_place(runs, "dataset.alpha")
    cells = {
        (alpha, method): comparison.compared(ours.get((alpha, method)), mean, std)
        for alpha, method, mean, std in paper.published(1).itertuples(index=False)
    }
    return Table(
        name="table1",
        caption="Table 1: test accuracy [%] on the synthetic data of Section 1.1, by strength of the signal",
        headings=("Alpha", "Source", "n"),
        columns=tuple(name.upper() for name in paper.LETTERS),
        rows=tuple(comparison.rows(cells)),
        best="the best of its row as printed",
        notes=(
            _LEGEND,
            comparison.agreement(cells, _MEASURE),
            *_strictness(cells),
            *([] if len(runs) else [_START]),
            *notes.mixed_code(runs),
        ),
        data=pd.DataFrame([(*comparison.record(*one), one[1].published_std) for one in cells.items()], columns=_FIELDS),
    )


TABLES = {1: signal_table}


def _strictness(cells: Comparisons) -> list[str]:
    """What the verdict does not say: how much of it is due to our own spread."""
    compared = [(cell.points, cell.published_std) for cell in cells.values()]
    off = [abs(points) / std for points, std in compared if points is not None and std]
    if not off:
        return []
    within = sum(value <= ALLOWED for value in off)
    return [
        "both standard deviations are those of single runs over seeds, so that the verdict asks whether the paper's "
        "mean could be a run of ours; the paper does not say how many seeds its means average, so that the means "
        "themselves cannot be tested against each other; by the published spread alone, "
        f"{within} of {len(off)} are within {ALLOWED:g}"
    ]
