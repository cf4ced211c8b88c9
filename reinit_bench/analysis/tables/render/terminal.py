"""Tables on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from reinit_bench.analysis.tables.table import Cell, Row, Table, split_columns

_GAP = 2


def show(tables: Sequence[Table], console: Console) -> None:
    """Print the tables; a note that all of them carry is printed once, at the end."""
    first, *others = [table.notes for table in tables] or [()]
    common = [note for note in first if others and all(note in notes for notes in others)]
    for table in tables:
        console.print(Text(table.caption, style="bold"))
        for part in _parts(table, console.width) if table.rows else []:
            console.print(_grid(part), crop=False)
        _print_notes([note for note in table.sentences("*") if note not in common], console)
    if common:
        _print_notes(common, console)


def _parts(table: Table, width: int) -> list[Table]:
    """The table as several, one under the other, where its columns do not fit in the terminal's width."""
    widths = [width + _GAP for width in _widths(table)]
    further = len(table.headings[2:])
    taken = max(_name_width(table), len(" ".join(table.headings[:1]))) + sum(widths[:further]) + 2
    return split_columns(table, widths[further:], width - taken)


def _widths(table: Table) -> list[int]:
    """Of the columns behind the names."""
    lines = [[*map(Text, (*table.headings[2:], *table.columns))], *map(_numbers, table.rows)]
    return [max(cell.cell_len for cell in column) for column in zip(*lines, strict=True)]


def _print_notes(notes: Sequence[str], console: Console) -> None:
    for note in notes:
        console.print(Padding(Text(f"- {note}"), (0, 0, 0, 2)), style="dim")
    console.print()


def _grid(table: Table) -> RichTable:
    grid = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False)
    grid.add_column("\n ".join(table.headings[:2]), min_width=_name_width(table), overflow="fold")
    for width, heading in zip(_widths(table), (*table.headings[2:], *table.columns), strict=True):
        # Better that the terminal breaks a line than that a number is cut off.
        grid.add_column(Text(heading), justify="right", no_wrap=True, width=width)
    for block in table.blocks():
        if len(table.headings) > 1:
            grid.add_row(Text(block[0][0], style="bold"))
        for _, row in block:
            grid.add_row(Text(_name(row)), *_numbers(row), style="dim" if row.published else None)
        if len(table.headings) > 1:
            grid.add_section()
    return grid


def _name_width(table: Table) -> int:
    """Room for each dataset's name in full and for the longest word of the other headings, which may wrap."""
    words = [f" {word}" for row in table.rows for word in " ".join(row.headings[1:2]).split()]
    return min(24, max(map(len, [*words, *(row.headings[0] for row in table.rows)])))


def _name(row: Row) -> str:
    return f" {row.headings[1]}" if len(row.headings) > 1 else row.headings[0]


def _numbers(row: Row) -> list[Text]:
    # Text, not markup: a label may hold brackets.
    return [*map(Text, row.headings[2:]), *map(_cell, row.cells)]


def _cell(cell: Cell) -> Text:
    # Without the spaces, six methods fit in 80 columns; the star stays where a pipe takes the colour.
    text = str(cell).replace(" ± ", "±")
    return Text(f"*{text}", style="bold green") if cell.best else Text(text)
