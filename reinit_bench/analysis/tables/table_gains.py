"""What each method gains over BL, by the size of the training set."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from reinit_bench.analysis.frame import notes
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.stats.mean_gains import GainGroup, mean_gains
from reinit_bench.analysis.stats.scores import scores_by_setting
from reinit_bench.analysis.tables.table import Row, Table, estimate_cell, mark_best

FROM_PAPER = True

_LEGEND = (
    "percentage points, ± half the 95% t-interval over the datasets of the group (or the settings of its only one); "
    "the intervals are many and not corrected for that, and those over two or three datasets are rough"
)
_FIELDS = ("model", "smallest", "largest", "method", "unit", "n", "mean_gain", "half_width")


def gains_table(collection: Collection) -> Table:
    """Mean gain over BL by architecture and size of the training set."""
    scores = scores_by_setting(collection)
    groups = mean_gains(scores)
    methods = {name: label for name, label in scores.methods.items() if name != "bl"}
    unknown = int(scores.frame["examples"].isna().sum())
    source = f", from {collection.source}" if collection.source else ""
    return Table(
        name="gains",
        caption=f"Mean gain over BL in test accuracy, by size of the training set{source}",
        headings=("Architecture", "Training examples", "Over"),
        columns=tuple(methods.values()),
        rows=tuple(_row(group, methods) for group in groups),
        best="the largest of its row",
        notes=(
            _LEGEND if groups else notes.no_settings("with BL and another method"),
            *([f"left out: {unknown} settings whose training-set size is not known"] if unknown else []),
            *scores.left_out,
            *notes.left_out(collection),
        ),
        data=pd.DataFrame(
            [
                (group.model, *group.sizes, method, gain.unit, gain.n, *gain.for_csv)
                for group in groups
                for method, gain in group.gains.items()
            ],
            columns=_FIELDS,
        ),
    )


TABLES = {"gains": gains_table}


def _row(group: GainGroup, methods: Mapping[str, str]) -> Row:
    cells = [estimate_cell(group.gains.get(name), 1, group.most.n) for name in methods]
    return Row((group.model, group.size_words, group.most.over), mark_best(cells))
