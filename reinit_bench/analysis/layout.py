"""What a table is before it is text: rows of cells, a caption and notes. All renderers read this and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


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


@dataclass(frozen=True)
class Row:
    """One line: its headings, its cells, and whether it is the paper's own."""

    headings: tuple[str, ...]
    cells: tuple[Cell, ...]
    published: bool = False


@dataclass(frozen=True)
class Table:
    """A table with everything that its files say.

    Attributes:
        name: of its files, `table2`.
        caption: one sentence.
        headings: over the headings of the rows; rows that share the first one stand together.
        columns: over the cells.
        rows: from top to bottom.
        best: what a marked cell is the best of; empty where no cell is marked.
        notes: sentences under the table.
        data: the numbers behind it in long form, unrounded, as the CSV has them.
    """

    name: str
    caption: str
    headings: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    best: str
    notes: tuple[str, ...]
    data: pd.DataFrame

    def sentences(self, mark: str) -> list[str]:
        """What stands under the table; `mark` is how the renderer shows the best cells."""
        marked = any(cell.best for row in self.rows for cell in row.cells)
        return [f"{mark}: {self.best}", *self.notes] if marked else list(self.notes)

    def groups(self) -> list[list[Row]]:
        """The rows, those with the same first heading together."""
        found: list[list[Row]] = []
        for row in self.rows:
            if found and found[-1][0].headings[0] == row.headings[0]:
                found[-1].append(row)
            else:
                found.append([row])
        return found
