"""A table as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from reinit_bench.analysis.tables.table import Row, Table


def markdown(table: Table) -> str:
    """The table for a README or an issue; the notes as a list under it."""
    lines = [f"**{_escaped(table.caption)}**", ""]
    if table.rows:
        head = [*table.headings, *table.columns]
        aligned = [":--"] * len(table.headings) + ["--:"] * len(table.columns)
        lines += [_line(map(_escaped, head)), _line(aligned)]
        lines += [_line(_row(row, first)) for block in table.blocks() for first, row in block]
        lines.append("")
    return "\n".join([*lines, *(f"- {_escaped(note)}" for note in table.sentences("bold"))]) + "\n"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("\n", " ")


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _row(row: Row, first: str) -> list[str]:
    *others, name = map(_escaped, (first, *row.headings[1:2]))
    cells = [f"**{cell}**" if cell.best else str(cell) for cell in row.cells]
    return [*others, f"*{name}*" if row.published else name, *map(_escaped, row.headings[2:]), *cells]
