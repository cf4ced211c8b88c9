"""Table 4 (Appendix A): the synthetic data at alpha 0.5, by L2 penalty, our runs next to the paper's values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from reinit_bench.analysis.runs import notes, paper
from reinit_bench.analysis.runs.collect import Collection
from reinit_bench.analysis.runs.distance import without_difference
from reinit_bench.analysis.synthetic.comparison import (
    Comparison,
    Comparisons,
    legible,
    record,
    root_mean_square,
    rows,
    scores_by_place,
    verdict,
)
from reinit_bench.analysis.synthetic.search import KINDS, Combination, combinations, with_kinds
from reinit_bench.analysis.tables.table import Table

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
_SEARCH = "how its number of steps and learning rate were chosen: reinit-bench -m study=table4_search"
_LABELS = {"baseline": "Baseline", "rescaling": "Rescaling", "lw": "LW"}
_FIELDS = ("l2", "method", "n", "mean", "std", "published")


def penalty_table(collection: Collection) -> Table:
    """Table 4 from the runs of `study=table4`; what `study=table4_search` found stands under it."""
    runs = without_difference(with_kinds(collection.frame), CHOSEN)
    ours = scores_by_place(runs[runs["kind"].isin(KINDS)], "trainer.weight_decay", "kind")
    cells = {
        (penalty, kind): Comparison(ours.get((penalty, kind)), _percent(accuracy))
        for penalty, kind, accuracy in paper.published(4).itertuples(index=False)
    }
    return Table(
        name="table4",
        caption="Table 4: test accuracy [%] on the synthetic data of Section 1.1 at alpha 0.5, by L2 penalty",
        headings=("L2 penalty", "Source", "n"),
        columns=tuple(_LABELS[kind] for kind in KINDS),
        rows=tuple(rows(cells)),
        best="the best of its row as printed",
        notes=(
            _LEGEND,
            verdict(cells, _MEASURE),
            *_distance(cells),
            *([] if ours else [_START]),
            *_searched(combinations(collection.frame)),
            *notes.mixed_code(runs),
        ),
        data=pd.DataFrame([record(*cell) for cell in cells.items()], columns=_FIELDS),
    )


TABLES = {4: penalty_table}


def _percent(fraction: float) -> float | None:
    known = legible(fraction)
    return None if known is None else round(100 * known, 1)


def _distance(cells: Comparisons) -> list[str]:
    """The distance by which the search compares its combinations."""
    off = [cell.points for cell in cells.values() if cell.points is not None]
    return [f"root mean square difference over {len(off)} cells: {root_mean_square(off):.1f} points"] if off else []


def _searched(found: Sequence[Combination]) -> list[str]:
    """What was searched and how near the best came."""
    if not found:
        return [_SEARCH]
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
