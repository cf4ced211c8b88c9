"""Table 4 (Appendix A): the synthetic data at alpha 0.5, by L2 penalty, our runs beside the paper's values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from reinit_bench.analysis import notes, paper
from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.layout import Table
from reinit_bench.analysis.search import KINDS, Combination, combinations, with_kinds
from reinit_bench.analysis.synthetic import Pair, Pairs, cells, known, record, rows, summaries, verdict

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
_LABELS = {"baseline": "Baseline", "rescaling": "Rescaling", "lw": "LW"}


def table4(collection: Collection) -> Table:
    """Table 4 from the runs of `study=table4`; what `study=table4_search` found stands under it."""
    runs = with_kinds(collection.frame)
    for column, value in CHOSEN.items():
        runs = runs[runs[column] == value] if column in runs else runs
    found = summaries(runs[runs["kind"].isin(KINDS)], "trainer.weight_decay", "kind")
    pairs: dict[float, dict[str, Pair]] = {}
    for penalty, method, accuracy in paper.published(4).itertuples(index=False):
        published = known(accuracy)
        pair = Pair(found.get((penalty, method)), None if published is None else round(100 * published, 1))
        pairs.setdefault(penalty, {})[method] = pair
    start = [] if found else ["no finished run of it; start with: reinit-bench -m study=table4"]
    return Table(
        name="table4",
        caption="Table 4: test accuracy [%] on the synthetic data of Section 1.1 at alpha 0.5, by L2 penalty",
        headings=("L2 penalty", "Source", "n"),
        columns=tuple(_LABELS[name] for name in KINDS),
        rows=tuple(rows(pairs)),
        best="the best of its row as printed",
        notes=notes.joined(
            [_LEGEND, verdict(pairs, _MEASURE), *_distance(pairs)],
            start,
            _searched(combinations(collection.frame)),
            notes.mixed_code(runs),
        ),
        data=pd.DataFrame(
            [record(*at) for at in cells(pairs)], columns=("l2", "method", "n", "mean", "std", "published")
        ),
    )


TABLES = {4: table4}


def _distance(pairs: Pairs) -> list[str]:
    """The distance by which the search compares its combinations."""
    off = [
        pair.ours.mean - pair.published
        for _, _, pair in cells(pairs)
        if pair.ours is not None and pair.published is not None
    ]
    return [f"root mean square difference over {len(off)} cells: {_rms(off):.1f} points"] if off else []


def _rms(values: list[float]) -> float:
    return math.sqrt(sum(value**2 for value in values) / len(values))


def _searched(found: list[Combination]) -> list[str]:
    """What was searched and how near the best came."""
    if not found:
        return ["how its number of steps and learning rate were chosen: reinit-bench -m study=table4_search"]
    best, at_256 = found[0], next((one for one in found if one.examples == 256), None)
    said = f"searched: {len(found)} combinations of {_axes(found)}; the best distance is {best.distance:.1f} points"
    words = [f"{said} ({best.words})"]
    if at_256 is not None and at_256 is not best:
        words.append(f"the best with Section 1.1's 256 examples is {at_256.distance:.1f} points ({at_256.words})")
    return words


def _axes(found: list[Combination]) -> str:
    def values(name: str) -> str:
        return ", ".join(f"{value:g}" for value in sorted({getattr(one, name) for one in found}))

    return (
        f"learning rate ({values('lr')}), steps in all ({values('steps')}), examples a step ({values('batch')}), "
        f"training examples ({values('examples')}), the penalty's form ({', '.join(sorted({o.form for o in found}))}), "
        "LW with and without lambda layers"
    )
