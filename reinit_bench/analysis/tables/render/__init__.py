"""Tables as text: one renderer a file."""

from __future__ import annotations

from reinit_bench.analysis.tables.render.latex import latex
from reinit_bench.analysis.tables.render.markdown import markdown
from reinit_bench.analysis.tables.table import Table


def csv(table: Table) -> str:
    """The numbers behind the table in long form; empty where there is none."""
    return str(table.data.to_csv(index=False, lineterminator="\n"))


FORMATS = {"md": markdown, "tex": latex, "csv": csv}
"""The renderers of a table's files, by the ending of the name."""
