"""What each reading of the paper changes on images. Built when it is named; Table 1's readings are `1-readings`."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from reinit_bench.analysis.frame import notes
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.stats.readings import READINGS, reading_effects, reading_runs
from reinit_bench.analysis.stats.summary import Summary, estimate
from reinit_bench.analysis.tables.table import Cell, Row, Table, estimate_cell, score_cells

_LEGEND = (
    "difference: test accuracy under the reading minus that under the default with the same seed, in points, ± half "
    "its 95% t-interval over n seeds; the intervals are many and not corrected for that; higher–lower: in how many "
    "seeds it is higher and lower; default and reading: mean ± standard deviation [%]; no augmentation and no dropout "
    "where nothing else is said"
)
_START = "no finished run under a reading and the default; start with: reinit-bench -m study=readings_digits"
_FIELDS = (
    *("dataset", "model", "reading", "method", "n"),
    *("default_mean", "default_std", "reading_mean", "reading_std", "difference", "half_width", "higher", "lower"),
)


def readings_table(collection: Collection) -> Table:
    """One row per setting, reading and method: the mean paired difference from the default."""
    runs = reading_runs(collection)
    found = list(_rows(reading_effects(collection)))
    shown = runs.drop(columns=[name for name in READINGS if name in runs])
    return Table(
        name="readings",
        caption="Readings of the paper: what each changes in test accuracy, by paired seeds",
        headings=("Dataset", "Model", "Reading", "Method", "n"),
        columns=("default", "reading", "difference", "higher–lower"),
        rows=tuple(row for row, _ in found),
        notes=(
            _LEGEND if found else _START,
            *(notes.settings_unlike_paper(shown) if found else []),
            *notes.left_out(collection),
            *(notes.mixed_code(runs) if found else []),
        ),
        data=pd.DataFrame([numbers for _, numbers in found], columns=_FIELDS),
    )


BY_NAME = {"readings": readings_table}


def _rows(effects: pd.DataFrame) -> Iterator[tuple[Row, tuple[object, ...]]]:
    """Each row as printed, and as the CSV has it."""
    for (_, reading, method), seeds in effects.groupby(["setting", "reading", "method"], sort=False):
        first, differences = seeds.iloc[0], seeds["difference"]
        default, changed = Summary.of(seeds["baseline"]), Summary.of(100 * seeds["test_accuracy"])
        effect = estimate([Summary.of(differences)])
        higher, lower = int((differences > 0).sum()), int((differences < 0).sum())
        cells = *score_cells([default, changed], best=False), estimate_cell(effect, 1), Cell(f"{higher}–{lower}")
        names = str(first["dataset_shown"]), str(first["label"]), str(reading)
        (n, *usual), (_, *other) = default.for_csv, changed.for_csv
        margin = None if effect.margin is None else round(effect.margin, 4)
        numbers = *usual, *other, round(effect.value, 4) + 0.0, margin, higher, lower
        yield Row((*names, first["method_label"], str(n)), cells), (*names, method, n, *numbers)
