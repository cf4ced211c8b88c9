"""The search for what Table 4 leaves out, every combination with its distance. Built when it is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import pandas as pd

from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.layout import Cell, Row, Table
from reinit_bench.analysis.search import combinations

Builder = Callable[[Collection], Table]


def search_table(collection: Collection) -> Table:
    """One row per combination of settings that has runs in all 18 cells, the nearest to the paper first."""
    found = combinations(collection.frame)
    rows = [
        Row(
            (f"{one.lr:g}",),
            (
                *(Cell(str(number)) for number in (one.steps, one.batch, one.examples)),
                *(Cell(word) for word in (one.form, "yes" if one.lambdas else "no")),
                *(Cell(f"{points:.1f}") for points in (one.distance, one.without, one.penalized)),
            ),
        )
        for one in found
    ]
    said = (
        "distance: root mean square difference from Table 4 in points, over its 18 cells, over the three without a "
        "penalty and over the fifteen with one; batch: examples of a step; form: trainer.weight_decay_form"
    )
    start = "no combination has runs in all cells; start with: reinit-bench -m study=table4_search"
    return Table(
        name="4-search",
        caption="What Appendix A leaves out: every combination that was tried, with its distance from Table 4",
        headings=("Learning rate",),
        columns=("steps", "batch", "examples", "form", "lambda layers", "distance", "at L2 = 0", "above"),
        rows=tuple(rows),
        best="",
        notes=(said,) if found else (start,),
        data=pd.DataFrame([asdict(one) for one in found]),
    )


TABLES: dict[str, Builder] = {}
BY_NAME = {"4-search": search_table}
