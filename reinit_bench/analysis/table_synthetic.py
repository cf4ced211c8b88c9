"""Table 1: the synthetic data of Section 1.1, our runs beside the paper's values."""

from __future__ import annotations

import pandas as pd

from reinit_bench.analysis import notes, paper
from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.layout import Table
from reinit_bench.analysis.synthetic import (
    ALLOWED,
    SETTINGS,
    Pair,
    Pairs,
    cells,
    known,
    record,
    rows,
    selected,
    summaries,
    verdict,
)

_LEGEND = "test accuracy [%], mean ± standard deviation over n seeds; —: missing, or lost in our copy of the paper"
_MEASURE = "combined standard deviations, sqrt(ours^2 + published^2)"


def table1(collection: Collection) -> Table:
    """Table 1 from the runs of `study=table1`."""
    runs = selected(collection.frame, SETTINGS)
    found = summaries(runs, "dataset.alpha")
    pairs: dict[float, dict[str, Pair]] = {}
    for alpha, method, mean, std in paper.published(1).itertuples(index=False):
        pairs.setdefault(alpha, {})[method] = Pair(found.get((alpha, method)), known(mean), known(std))
    start = [] if len(runs) else ["no finished run of it; start with: reinit-bench -m study=table1"]
    fields = ("alpha", "method", "n", "mean", "std", "published", "published_std")
    return Table(
        name="table1",
        caption="Table 1: test accuracy [%] on the synthetic data of Section 1.1, by strength of the signal",
        headings=("Alpha", "Source", "n"),
        columns=tuple(name.upper() for name in paper.LETTERS),
        rows=tuple(rows(pairs)),
        best="the best of its row as printed",
        notes=notes.joined([_LEGEND, verdict(pairs, _MEASURE), *_strictness(pairs)], start, notes.mixed_code(runs)),
        data=pd.DataFrame([(*record(*at), at[2].published_std) for at in cells(pairs)], columns=fields),
    )


TABLES = {1: table1}


def _strictness(pairs: Pairs) -> list[str]:
    """What the verdict does not say: how much of it is owed to our own spread."""
    off = [
        abs(pair.ours.mean - pair.published) / pair.published_std
        for _, _, pair in cells(pairs)
        if pair.ours is not None and pair.published is not None and pair.published_std
    ]
    if not off:
        return []
    within = sum(value <= ALLOWED for value in off)
    return [
        "both standard deviations are those of single runs over seeds, so that the verdict asks whether the paper's "
        "mean could be a run of ours; the paper does not say how many seeds its means average, so that the means "
        "themselves cannot be tested against each other; by the published spread alone, "
        f"{within} of {len(off)} are within {ALLOWED:g}"
    ]
