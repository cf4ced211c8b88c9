"""Table 4 (Appendix A): the synthetic data at alpha 0.5, by L2 penalty, our runs next to the paper's values.

When it is named, the search for what Appendix A leaves out is built too: every combination with its distance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from reinit_bench.analysis.runs import notes, paper
from reinit_bench.analysis.runs.collect import Collection
from reinit_bench.analysis.runs.distance import without_difference
from reinit_bench.analysis.synthetic import comparison
from reinit_bench.analysis.synthetic.comparison import Comparisons, root_mean_square
from reinit_bench.analysis.synthetic.search import KINDS, Combination, combinations, with_kinds
from reinit_bench.analysis.tables.table import Cell, Row, Table

CHOSEN: Mapping[str, Any] = {
    "trainer.lr": 1.0,
    "steps": 1500,
    "trainer.weight_decay_form": "sgd",
    "trainer.batch_size": 256,
    "train_examples": 256,
}
"""The values of `study=table4`, where the paper gives none; LW has no lambda layers."""

_LEGEND = "test accuracy [%], mean ± standard deviation over n seeds; the paper prints no spread"
_MEASURE = "of our own standard deviations over seeds"
_START = "no finished run of it; start with: reinit-bench -m study=table4"
_SEARCH_LEGEND = (
    "distance: root mean square difference from Table 4 in points, over its 18 cells, over the three without a "
    "penalty and over the fifteen with one; batch: examples of a step; form: trainer.weight_decay_form"
)
_SEARCH_START = "no combination has runs in all cells; start with: reinit-bench -m study=table4_search"
_HOW_CHOSEN = "how its number of steps and learning rate were chosen: reinit-bench -m study=table4_search"
_LABELS = {"baseline": "Baseline", "rescaling": "Rescaling", "lw": "LW"}
_FIELDS = ("l2", "method", "n", "mean", "std", "published")


def penalty_table(collection: Collection) -> Table:
    """Table 4 from the runs of `study=table4`; what `study=table4_search` found stands under it."""
    runs = without_difference(with_kinds(collection.frame), CHOSEN)
    ours = comparison.scores_by_place(runs[runs["kind"].isin(KINDS)], "trainer.weight_decay", "kind")
    cells = {
        (penalty, kind): comparison.compared(ours.get((penalty, kind)), round(100 * accuracy, 1))
        for penalty, kind, accuracy in paper.published(4).itertuples(index=False)
    }
    return Table(
        name="table4",
        caption="Table 4: test accuracy [%] on the synthetic data of Section 1.1 at alpha 0.5, by L2 penalty",
        headings=("L2 penalty", "Source", "n"),
        columns=tuple(_LABELS[kind] for kind in KINDS),
        rows=tuple(comparison.rows(cells)),
        best="the best of its row as printed",
        notes=(
            _LEGEND,
            comparison.agreement(cells, _MEASURE),
            *_distance(cells),
            *([] if ours else [_START]),
            *_searched(combinations(collection.frame)),
            *notes.mixed_code(runs),
        ),
        data=pd.DataFrame([comparison.record(*cell) for cell in cells.items()], columns=_FIELDS),
    )


def search_table(collection: Collection) -> Table:
    """One row per combination of settings that has runs in all 18 cells, the nearest to the paper first."""
    found = combinations(collection.frame)
    return Table(
        name="4-search",
        caption="What Appendix A leaves out: every combination that was tried, with its distance from Table 4",
        headings=("Learning rate",),
        columns=("steps", "batch", "examples", "form", "lambda layers", "distance", "at L2 = 0", "above"),
        rows=tuple(map(_search_row, found)),
        notes=(_SEARCH_LEGEND if found else _SEARCH_START,),
        data=pd.DataFrame([asdict(one) for one in found]),
    )


TABLES = {4: penalty_table}
BY_NAME = {"4-search": search_table}


def _search_row(one: Combination) -> Row:
    texts = (
        *(str(number) for number in (one.steps, one.batch, one.examples)),
        one.form,
        "yes" if one.lambdas else "no",
        *(f"{points:.1f}" for points in (one.distance, one.without, one.penalized)),
    )
    return Row((f"{one.lr:g}",), tuple(map(Cell, texts)))


def _distance(cells: Comparisons) -> list[str]:
    """The distance by which the search compares its combinations."""
    off = [cell.points for cell in cells.values() if cell.points is not None]
    return [f"root mean square difference over {len(off)} cells: {root_mean_square(off):.1f} points"] if off else []


def _searched(found: Sequence[Combination]) -> list[str]:
    """What was searched and how near the best came."""
    if not found:
        return [_HOW_CHOSEN]
    best, at_256 = found[0], next((one for one in found if one.examples == 256), None)
    searched = f"searched: {len(found)} combinations of {_axes(found)}"
    words = [f"{searched}; the best distance is {best.distance:.1f} points ({best.words})"]
    if at_256 is not None and at_256 is not best:
        words.append(f"the best with Section 1.1's 256 examples is {at_256.distance:.1f} points ({at_256.words})")
    return words


def _axes(found: Sequence[Combination]) -> str:
    def values(name: str) -> str:
        return ", ".join(f"{value:g}" for value in sorted({getattr(one, name) for one in found}))

    return (
        f"learning rate ({values('lr')}), steps in all ({values('steps')}), examples a step ({values('batch')}), "
        f"training examples ({values('examples')}), the penalty's form ({', '.join(sorted({o.form for o in found}))}), "
        "LW with and without lambda layers"
    )
