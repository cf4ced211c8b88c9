"""A table as LaTeX."""

from __future__ import annotations

from reinit_bench.analysis.tables.table import MISSING, Cell, Row, Table

_SYMBOLS = {
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


def latex(table: Table) -> str:
    """The table in the paper's layout, for a document that loads `booktabs`; the notes under it."""
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table*}",
        "\\centering",
        f"\\caption{{{_escaped(table.caption)}}}",
        f"\\label{{tab:{table.name}}}",
        *(_body(table) if table.rows else []),
        *(f"{{\\footnotesize {_escaped(note)}\\par}}" for note in table.sentences("bold")),
        "\\end{table*}",
        "",
    ]
    return "\n".join(lines)


def _body(table: Table) -> list[str]:
    head = " & ".join(map(_escaped, (*table.headings, *table.columns)))
    blocks = ["\n".join(f"{_row(row, first)} \\\\" for first, row in block) for block in table.blocks()]
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


def _escaped(text: str) -> str:
    return "".join(_SYMBOLS.get(letter, letter) for letter in text).replace("\n", " ")


def _row(row: Row, first: str) -> str:
    *others, name = map(_escaped, (first, *row.headings[1:2]))
    shown = f"\\textit{{{name}}}" if row.published else name
    return " & ".join([*others, shown, *map(_escaped, row.headings[2:]), *map(_cell, row.cells)])


def _cell(cell: Cell) -> str:
    if cell.text is None:
        return _escaped(MISSING)
    number = f"\\textbf{{{_escaped(cell.text)}}}" if cell.best else _escaped(cell.text)
    spread = f"{{\\scriptsize$\\,\\pm\\,${_escaped(cell.spread)}}}" if cell.spread else ""
    return f"{number}{spread}{cell.count_words}"
