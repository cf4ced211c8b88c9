"""The methods' mean ranks with the critical difference."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from reinit_bench.analysis.frame import notes
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.stats.mean_ranks import Ranking, rankings
from reinit_bench.analysis.stats.scores import Scores, scores_by_setting
from reinit_bench.analysis.tables.table import Cell, Row, Table, mark_best

FROM_PAPER = True

_NOTES = (
    "CD: critical difference (Nemenyi, 95%): methods whose mean ranks differ by more are different; p: Friedman's test",
    "over settings the test is too sure of itself: settings of one dataset are not independent of each other",
)
_FIELDS = ("model", "unit", "n", "method", "mean_rank", "critical_difference", "friedman", "p")


def ranks_table(collection: Collection) -> Table:
    """Mean ranks by architecture, over datasets and over settings."""
    scores = scores_by_setting(collection).common()
    ranked = rankings(scores)
    source = f", from {collection.source}" if collection.source else ""
    return Table(
        name="ranks",
        caption=f"Mean rank of the methods (1 is the best), by architecture{source}",
        headings=("Architecture", "Over", "n"),
        columns=(*scores.methods.values(), "CD", "p"),
        rows=tuple(_row(one, scores.methods) for one in ranked),
        best="the best of its row",
        notes=(
            *(_NOTES if ranked else [notes.no_settings("in which all methods finished")]),
            *_incomplete(scores),
            *scores.left_out,
            *notes.left_out(collection),
        ),
        data=pd.DataFrame(
            [
                (one.model, one.unit, one.n, name, mean, one.critical_difference, one.statistic, one.p)
                for one in ranked
                for name, mean in one.mean_ranks.items()
            ],
            columns=_FIELDS,
        ).round({"mean_rank": 4, "critical_difference": 4, "friedman": 4}),
    )


TABLES = {"ranks": ranks_table}


def _incomplete(scores: Scores) -> list[str]:
    lost = len(scores.frame) - len(scores.complete)
    return [f"{lost} of {len(scores.frame)} settings lack the number of a method and are left out"] if lost else []


def _row(one: Ranking, methods: Mapping[str, str]) -> Row:
    cells = mark_best([Cell(f"{one.mean_ranks[name]:.2f}") for name in methods], min)
    p = Cell() if one.p is None else Cell(f"{one.p:.1g}")
    return Row((one.model, f"{one.unit}s", str(one.n)), (*cells, Cell(f"{one.critical_difference:.2f}"), p))
