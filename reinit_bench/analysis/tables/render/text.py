"""Tables as text: Markdown, LaTeX and CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from reinit_bench.analysis.tables.table import MISSING, Cell, Row, Table, split_columns

_SYMBOLS: dict[str, str | int | None] = {
    "\n": " ",
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # After a line's end, a bracket would be taken for an option of it.
    "[": "{[}",
    "]": "{]}",
    "±": r"$\pm$",
    "—": "---",
    "–": "--",
    "−": "$-$",
    "★": r"$\star$",
    "○": r"$\circ$",
    "≈": r"$\approx$",
    "·": r"$\cdot$",
}

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
_TEX_ROOM = 96
"""Characters of a page's width for a table's columns: six of `71.2 ± 0.4 (2)`, eight of `71.2 ± 0.4`."""


def markdown(table: Table) -> str:
    """The table for a README or an issue; the notes as a list under it."""
    lines = [f"**{_md(table.caption)}**", ""]
    if table.rows:
        head = [*table.headings, *table.columns]
        aligned = [":--"] * len(table.headings) + ["--:"] * len(table.columns)
        lines += [_md_line(map(_md, head)), _md_line(aligned)]
        lines += [_md_line(_md_row(row, first)) for block in table.blocks() for first, row in block]
        lines.append("")
    return "\n".join([*lines, *(f"- {_md(note)}" for note in table.sentences("bold"))]) + "\n"


def latex(table: Table) -> str:
    """The table in the paper's layout, for a document that loads `booktabs`; the notes under it."""
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table*}",
        "\\centering",
        f"\\caption{{{_tex(table.caption)}}}",
        f"\\label{{tab:{table.name}}}",
        *(_tex_bodies(table) if table.rows else []),
        *(f"{{\\footnotesize {_tex(note)}\\par}}" for note in table.sentences("bold")),
        "\\end{table*}",
        "",
    ]
    return "\n".join(lines)


def csv(table: Table) -> str:
    """The numbers behind the table in long form; empty where there is none."""
    return str(table.data.map(_as_text).to_csv(index=False, lineterminator="\n"))


FORMATS = {"md": markdown, "tex": latex, "csv": csv}
"""The renderers of a table's files, by the ending of the name."""


def _as_text(value: Any) -> Any:
    """A value of a CSV; a quote before what a spreadsheet would take for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULAS) else value


def _md(text: str) -> str:
    """As text: neither a cell's end nor markup, a link or code."""
    for sign in ("|", "*", "<", "`", "]("):
        text = text.replace(sign, f"\\{sign}")
    return text.replace("\n", " ")


def _md_line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _names(row: Row, first: str, escaped: Callable[[str], str], published: str) -> list[str]:
    """The headings of a row; the one that says that it is the paper's as `published` shows it."""
    *others, name = map(escaped, (first, *row.headings[1:2]))
    return [*others, published.format(name) if row.published else name, *map(escaped, row.headings[2:])]


def _md_row(row: Row, first: str) -> list[str]:
    cells = [f"**{_md(str(cell))}**" if cell.best else _md(str(cell)) for cell in row.cells]
    return [*_names(row, first, _md, "*{}*"), *cells]


def _tex_bodies(table: Table) -> list[str]:
    """The table, or one under the other several with some of its columns each, where a page is too narrow for all."""
    texts = zip(table.columns, *([str(cell) for cell in row.cells] for row in table.rows), strict=True)
    found = split_columns(table, [max(map(len, column)) + 2 for column in texts], _TEX_ROOM)
    narrow = ["\\setlength{\\tabcolsep}{4pt}"] if len(found) > 1 else []
    gap = ["\\medskip", ""]
    return [*narrow, *(line for part in found for line in (*_tex_body(part), *(gap if part is not found[-1] else [])))]


def _tex_body(table: Table) -> list[str]:
    head = " & ".join(map(_tex, (*table.headings, *table.columns)))
    blocks = ["\n".join(f"{_tex_row(row, first)} \\\\" for first, row in block) for block in table.blocks()]
    return [
        f"\\begin{{tabular}}{{{'l' * len(table.headings)}{'r' * len(table.columns)}}}",
        "\\toprule",
        f"{head} \\\\",
        "\\midrule",
        "\n\\midrule\n".join(blocks),
        "\\bottomrule",
        "\\end{tabular}",
        "",
    ]


def _tex(text: str) -> str:
    return text.translate(str.maketrans(_SYMBOLS))


def _tex_row(row: Row, first: str) -> str:
    return " & ".join([*_names(row, first, _tex, r"\textit{{{}}}"), *map(_tex_cell, row.cells)])


def _tex_cell(cell: Cell) -> str:
    if cell.text is None:
        return _tex(MISSING)
    number = f"\\textbf{{{_tex(cell.text)}}}" if cell.best else _tex(cell.text)
    spread = f"{{\\scriptsize$\\,\\pm\\,${_tex(cell.spread)}}}" if cell.spread else ""
    return f"{number}{spread}{cell.count_words}"
