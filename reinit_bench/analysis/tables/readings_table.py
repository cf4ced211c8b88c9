"""What each reading of the paper changes on images. Built when it is named; Table 1's readings are `1-readings`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from reinit_bench.analysis.frame import notes
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.stats.reading_effects import ReadingEffect, reading_effects, reading_runs
from reinit_bench.analysis.stats.readings import READINGS
from reinit_bench.analysis.stats.summary import Summary
from reinit_bench.analysis.tables.table import Cell, Row, Table

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
    effects = reading_effects(collection)
    runs = reading_runs(collection)
    labels = dict(zip(runs["method"], runs["method_label"], strict=True))
    shown = runs.drop(columns=[name for name in READINGS if name in runs])
    return Table(
        name="readings",
        caption="Readings of the paper: what each changes in test accuracy, by paired seeds",
        headings=("Dataset", "Model", "Reading", "Method", "n"),
        columns=("default", "reading", "difference", "higher–lower"),
        rows=tuple(_row(one, labels[one.method]) for one in effects),
        notes=(
            _LEGEND if effects else _START,
            *(notes.settings_unlike_paper(shown) if effects else []),
            *notes.left_out(collection),
            *(notes.mixed_code(runs) if effects else []),
        ),
        data=pd.DataFrame(list(_data(effects)), columns=_FIELDS),
    )


BY_NAME = {"readings": readings_table}


def _row(one: ReadingEffect, method: str) -> Row:
    difference = round(one.difference, 1) + 0.0  # no minus sign before a zero
    cells = (
        _score(one.default),
        _score(one.changed),
        Cell(f"{difference:+.1f}", "" if one.half is None else f"{one.half:.1f}"),
        Cell(f"{one.higher}–{one.lower}"),
    )
    return Row((one.dataset, one.model, one.reading, method, str(one.default.n)), cells)


def _score(score: Summary) -> Cell:
    return Cell(f"{score.mean:.1f}", "" if score.std is None else f"{score.std:.1f}")


def _data(effects: Sequence[ReadingEffect]) -> Iterator[tuple[object, ...]]:
    for one in effects:
        (n, *default), (_, *changed) = one.default.rounded, one.changed.rounded
        half = None if one.half is None else round(one.half, 4)
        yield (
            *(one.dataset, one.model, one.reading, one.method, n),
            *(*default, *changed, round(one.difference, 4) + 0.0, half, one.higher, one.lower),
        )
