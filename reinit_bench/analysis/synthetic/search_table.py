"""The search for what Table 4 leaves out, every combination with its distance. Built when it is named."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd

from reinit_bench.analysis.runs.collect import Collection
from reinit_bench.analysis.synthetic.search import Combination, combinations
from reinit_bench.analysis.tables.table import Cell, Row, Table

_LEGEND = (
    "distance: root mean square difference from Table 4 in points, over its 18 cells, over the three without a "
    "penalty and over the fifteen with one; batch: examples of a step; form: trainer.weight_decay_form"
)
_START = "no combination has runs in all cells; start with: reinit-bench -m study=table4_search"


def search_table(collection: Collection) -> Table:
    """One row per combination of settings that has runs in all 18 cells, the nearest to the paper first."""
    found = combinations(collection.frame)
    return Table(
        name="4-search",
        caption="What Appendix A leaves out: every combination that was tried, with its distance from Table 4",
        headings=("Learning rate",),
        columns=("steps", "batch", "examples", "form", "lambda layers", "distance", "at L2 = 0", "above"),
        rows=tuple(map(_row, found)),
        notes=(_LEGEND if found else _START,),
        data=pd.DataFrame([asdict(one) for one in found]),
    )


BY_NAME = {"4-search": search_table}


def _row(one: Combination) -> Row:
    texts = (
        *(str(number) for number in (one.steps, one.batch, one.examples)),
        one.form,
        "yes" if one.lambdas else "no",
        *(f"{points:.1f}" for points in (one.distance, one.without, one.penalized)),
    )
    return Row((f"{one.lr:g}",), tuple(map(Cell, texts)))
