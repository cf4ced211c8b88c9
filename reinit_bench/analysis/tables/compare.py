"""Two sources of runs side by side; `tables --compare` builds it, since every other table has one source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame import notes
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import plural
from reinit_bench.analysis.frame.settings import as_dicts
from reinit_bench.analysis.stats.reproduction import (
    NOT_REPRODUCED,
    REPRODUCED,
    UNTOLD,
    WIDEST,
    WORDS,
    SourceComparison,
    compare_sources,
)
from reinit_bench.analysis.tables.table import Cell, Row, Table, estimate_cell, score_cell

_LEGEND = "test accuracy [%], mean ± standard deviation (number of seeds)"
_RULE = (
    f"{REPRODUCED}: the 95% interval of B − A contains 0 and reaches at most {WIDEST:.0f} points to each side; "
    f"{NOT_REPRODUCED}: it does not contain 0; {UNTOLD}: it is wider, or there is none"
)
_WELCH = "where A and B have several seeds each, the interval is Welch's"
_SINGLE = "where one has a single run, that is taken to spread as the other's runs do; where both have, there is none"
_PUBLISHED = (
    "a published number is taken as exact, since its spread is not known: the interval is that of the runs' mean "
    "alone, and so too narrow"
)
_MANY = f"the intervals are many and not corrected for that: of cells that agree, one in twenty is {NOT_REPRODUCED}"
_FIELDS = (
    *("dataset", "model", "condition", "method", "n_a", "mean_a", "std_a", "n_b", "mean_b", "std_b"),
    *("difference", "half_width", "verdict"),
)


def compare_table(first: Collection, second: Collection, names: tuple[str, str]) -> Table:
    """Every cell that both sources have; `names` are what the user calls them."""
    found = compare_sources(first, second)
    cells = as_dicts(found.cells)
    return Table(
        name="compare",
        caption=f"Two sources compared: A is {names[0]}, B is {names[1]}",
        headings=("Dataset", "Model", "Condition", "Method"),
        columns=("A", "B", "B − A", "Verdict"),
        rows=tuple(map(_row, cells)),
        notes=(
            *(_how(first, second, found) if cells else ["no cell is in both"]),
            *_alone(found),
            *_about("A", first),
            *_about("B", second),
        ),
        data=pd.DataFrame(list(map(_record, cells)), columns=_FIELDS),
    )


def _how(first: Collection, second: Collection, found: SourceComparison) -> Iterator[str]:
    counts = Counter(found.cells["word"])
    yield f"{plural(len(found.cells), 'cell')}: {', '.join(f'{counts[word]} {word}' for word in WORDS if counts[word])}"
    yield _LEGEND
    yield _RULE
    if first.source or second.source:
        yield _PUBLISHED
    else:
        yield _WELCH
        if any(one.n == 1 for one in (*found.cells["first"], *found.cells["second"])):
            yield _SINGLE
    if len(found.cells) > 1:
        yield _MANY
    if found.same_runs:
        yield f"{plural(found.same_runs, 'run')} of the same id and accuracy in both: copies reproduce nothing"


def _alone(found: SourceComparison) -> Iterator[str]:
    for name, count in (("A", found.only_first), ("B", found.only_second)):
        if count:
            yield f"only in {name}: {plural(count, 'cell')}"


def _about(name: str, side: Collection) -> list[str]:
    """What a reader must know of a source: which numbers it has, how its runs were trained, and what is left out."""
    runs = [side.source] if side.source else notes.settings_unlike_paper(side.frame)
    return [f"{name}: {line}" for line in (*runs, *notes.left_out(side))]


def _row(cell: Mapping[str, Any]) -> Row:
    headings = cell["dataset"], cell["label"], cell["condition"], cell["method_label"]
    means = (score_cell(one, 2, one.n) for one in (cell["first"], cell["second"]))
    return Row(headings, (*means, estimate_cell(cell["difference"], 2), Cell(cell["word"])))


def _record(cell: Mapping[str, Any]) -> tuple[object, ...]:
    found = cell["difference"]
    margin = None if found.margin is None else round(found.margin, 4)
    numbers = *cell["first"].for_csv, *cell["second"].for_csv, round(found.value, 4) + 0.0, margin
    return *(cell[name] for name in ("dataset", "label", "condition", "method")), *numbers, cell["word"]
