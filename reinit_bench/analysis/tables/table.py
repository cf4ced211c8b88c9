"""What a table is before it is text. The terminal, Markdown, LaTeX, CSV and HTML render this class and no other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise

import pandas as pd

from reinit_bench.analysis.stats.summary import Estimate, Summary

MISSING = "—"


@dataclass(frozen=True)
class Cell:
    """One number as printed.

    Attributes:
        text: the number; None for one that is missing, empty where there can be none.
        spread: its standard deviation, empty where there is none.
        count: over how many runs, where these are fewer than its row says.
        best: whether it is the best of its row.
    """

    text: str | None = None
    spread: str = ""
    count: int | None = None
    best: bool = False

    def __str__(self) -> str:
        """Without any mark for the best: `71.2 ± 0.4 (3)`."""
        if self.text is None:
            return MISSING
        spread = f" ± {self.spread}" if self.spread else ""
        return f"{self.text}{spread}{self.count_words}"

    @property
    def count_words(self) -> str:
        """` (3)`, empty where the row's count holds."""
        return "" if self.count is None else f" ({self.count})"


@dataclass(frozen=True)
class Row:
    """One row as printed: its headings, its cells, and whether it is the paper's own."""

    headings: tuple[str, ...]
    cells: tuple[Cell, ...]
    published: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with everything that its files say.

    Attributes:
        name: of its files, `table2`.
        caption: one sentence.
        headings: over the headings of the rows; rows that share the first one form a block.
        columns: over the cells.
        rows: from top to bottom; none where `data` is the table.
        best: what a marked cell is the best of; empty where no cell is marked.
        notes: sentences under the table.
        data: the numbers behind it in long form, as the CSV has them.
        decimals: how a number in a column of `data` is shown where `data` is the table; other columns are text.
        condition: of all its runs, where they share one and no column names it.
    """

    name: str
    caption: str
    data: pd.DataFrame
    headings: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    best: str = ""
    notes: tuple[str, ...] = ()
    decimals: Mapping[str, int] = field(default_factory=dict)
    condition: str | None = None

    def sentences(self, mark: str) -> list[str]:
        """What stands under the table; `mark` is how the renderer shows the best cells."""
        marked = any(cell.best for row in self.rows for cell in row.cells)
        return [f"{mark}: {self.best}", *self.notes] if marked else list(self.notes)

    def blocks(self) -> list[list[tuple[str, Row]]]:
        """The rows by block, each with its first heading, which is written once a block."""
        blocks = [list(rows) for _, rows in groupby(self.rows, key=lambda row: row.headings[0])]
        return [[(row.headings[0] if row is block[0] else "", row) for row in block] for block in blocks]


def split_columns(table: Table, widths: Sequence[int], room: int) -> list[Table]:
    """The table, or where its columns need more than `room` several of it, each with some of the columns.

    Args:
        table: what is to be written.
        widths: of the columns, with the gap between two.
        room: for the columns of one part; a part has one column at least.
    """
    starts, used = [0], 0
    for index, width in enumerate(widths):
        if used and used + width > room:
            starts, used = [*starts, index], 0
        used += width
    if len(starts) == 1:
        return [table]
    # No fuller than need be: seven, seven and six columns read better than nine, nine and two.
    size = math.ceil(len(widths) / len(starts))
    even = range(0, len(widths), size)
    if all(sum(widths[start : start + size]) <= room for start in even):
        starts = list(even)
    return [_part(table, start, end) for start, end in pairwise([*starts, len(widths)])]


def _part(table: Table, start: int, end: int) -> Table:
    """Columns `start` to `end`; rows of the paper only where it has something in them."""
    rows = [replace(row, cells=row.cells[start:end]) for row in table.rows]
    in_paper = any(cell.text != "" for row in rows if row.published for cell in row.cells)
    shown = tuple(row for row in rows if in_paper or not row.published)
    return replace(table, columns=table.columns[start:end], rows=shown)


def score_cells(scores: Sequence[Summary | None], *, best: bool = True) -> tuple[Cell, ...]:
    """Mean ± standard deviation with one decimal, and the number of runs where others of the row have more.

    Args:
        best: whether to mark the best.
    """
    most = most_runs(scores)
    cells = [Cell() if one is None else score_cell(one, 1, one.n if one.n < most else None) for one in scores]
    return mark_best(cells) if best else tuple(cells)


def most_runs(scores: Iterable[Summary | None]) -> int:
    """Over how many runs the means of a row are, at most."""
    return max((one.n for one in scores if one is not None), default=0)


def score_cell(score: Summary, digits: int, count: int | None) -> Cell:
    """Mean ± standard deviation, and over how many."""
    spread = "" if score.std is None else f"{score.std:.{digits}f}"
    return Cell(f"{score.mean:.{digits}f}", spread, count)


def estimate_cell(one: Estimate | None, digits: int, most: int = 0) -> Cell:
    """With a sign, ± half its 95% t-interval, and over how many where others of the row have more: `most`."""
    if one is None:
        return Cell()
    value = round(one.value, digits) + 0.0  # no minus sign before a zero
    spread = "" if one.margin is None else f"{one.margin:.{digits}f}"
    return Cell(f"{value:+.{digits}f}", spread, one.n if one.n < most else None)


def mark_best(cells: Sequence[Cell], pick: Callable[..., str] = max) -> tuple[Cell, ...]:
    """Mark the best of the numbers as printed, so that two that read alike are both the best.

    Args:
        pick: `max` or `min`.
    """
    best = pick((cell.text for cell in cells if cell.text), key=float, default="")
    return tuple(replace(cell, best=bool(cell.text) and cell.text == best) for cell in cells)
