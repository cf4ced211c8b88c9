"""Data in stages: what each arm ends them with, beside a network that begins anew. Built when it is named."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from reinit_bench.analysis.frame import notes
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.stats.stages import FRESH, MEAN, StagedSetting, staged_settings
from reinit_bench.analysis.tables.table import Row, Table, estimate_cell, score_cell

_LEGEND = (
    "test accuracy [%], mean ± standard deviation over n seeds: at the end of the first and of the last stage, and the "
    "mean over all stages' ends; where classes join, on the classes that are there",
    "over Cold: the difference in points from a network that begins every round anew, paired by seed, ± half its 95% "
    "t-interval; these are many and not corrected for that",
)
_FIELDS = ("setting", "method", "stage", "n", "mean", "std", "over_cold", "half_width", "pairs")


def stages_table(collection: Collection) -> Table:
    """A block for each setting; in the CSV every stage, 0 being the mean over stages."""
    found = staged_settings(collection)
    return Table(
        name="stages",
        caption="Data in stages: test accuracy, and the difference from a fresh network",
        headings=("Setting", "Method", "n"),
        columns=("first stage", "last stage", "mean", "last over Cold", "mean over Cold"),
        rows=tuple(row for one in found for row in _rows(one)),
        notes=(
            *(_LEGEND if found else ["no finished run with stages; start with: reinit-bench -m study=warm_start"]),
            *notes.left_out(collection),
        ),
        data=pd.DataFrame([numbers for one in found for numbers in _numbers(one)], columns=_FIELDS).round(4),
    )


BY_NAME = {"stages": stages_table}


def _rows(setting: StagedSetting) -> Iterator[Row]:
    labels = setting.runs.groupby("method")["method_label"].first()
    for method in setting.methods:
        shown = [setting.accuracy(method, stage) for stage in (1, setting.stages, MEAN)]
        over = [setting.over_fresh(method, stage) for stage in (setting.stages, MEAN)]
        cells = (
            *(score_cell(one, 1, None) for one in shown),
            *(estimate_cell(None if method == FRESH else one, 1, shown[0].n) for one in over),
        )
        yield Row((setting.label, str(labels[method]), str(shown[0].n)), cells)


def _numbers(setting: StagedSetting) -> Iterator[tuple[object, ...]]:
    for method in setting.methods:
        for stage in (MEAN, *range(1, setting.stages + 1)):
            over = None if method == FRESH else setting.over_fresh(method, stage)
            told = (over.value, over.margin, over.n) if over else (None, None, 0)
            yield setting.label, method, stage, *setting.accuracy(method, stage).for_csv, *told
