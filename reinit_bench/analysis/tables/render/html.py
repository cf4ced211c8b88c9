"""A table as part of an HTML page: its rows as markup, or its data as JSON that the page's script fills in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from markupsafe import Markup

from reinit_bench.analysis.tables.table import Row, Table

_HEADING = Markup('<th scope="col"{}><button type="button">{}</button></th>\n')
_NUMBER = Markup(' class="number"')
_BEST = Markup(' class="number best"')
_ATTRIBUTE = Markup(' data-{}="{}"')
_MODELS = ("Model", "Architecture")


def html_table(table: Table) -> Markup:
    """The table with everything escaped; each row names its dataset, model and condition for the page's filters."""
    heads = [*(_HEADING.format("", name) for name in table.headings)]
    heads += [_HEADING.format(_NUMBER, name) for name in table.columns]
    return Markup(
        '<table class="sortable">\n<caption class="unseen">{}</caption>\n<thead><tr>\n{}</tr></thead>\n'
        "<tbody>\n{}</tbody></table>"
    ).format(table.caption, Markup().join(heads), Markup().join(_rows(table)))


def long_table(table: Table) -> dict[str, Any]:
    """`columns`: heading and how a value is shown, `text` or the number of decimals; `rows`: values or None."""
    rows = [tuple(map(_plain, row)) for row in table.data.itertuples(index=False, name=None)]
    return {"columns": [(name, table.decimals.get(name, "text")) for name in map(str, table.data)], "rows": rows}


def _rows(table: Table) -> Iterator[Markup]:
    dataset = table.headings.index("Dataset") if "Dataset" in table.headings else None
    model = next((place for place, name in enumerate(table.headings) if name in _MODELS), None)
    shown: str | None = None
    for row in table.rows:
        if model is not None and not (row.published and row.headings[model] == "paper"):
            shown = row.headings[model].partition(" [")[0]  # the paper's row below belongs to it
        filters = {
            "dataset": None if dataset is None else row.headings[dataset],
            "model": None if shown == "all" else shown,
            "condition": table.condition,
        }
        attributes = Markup().join(_ATTRIBUTE.format(*item) for item in filters.items() if item[1] is not None)
        yield Markup("<tr{}{}>{}</tr>\n").format(_published(row), attributes, _cells(row))


def _published(row: Row) -> Markup:
    return Markup(' class="published"' if row.published else "")


def _cells(row: Row) -> Markup:
    texts = [Markup("<td>{}</td>").format(heading) for heading in row.headings]
    return Markup().join(
        [*texts, *(Markup("<td{}>{}</td>").format(_BEST if cell.best else _NUMBER, str(cell)) for cell in row.cells)]
    )


def _plain(value: Any) -> Any:
    """A value fit for JSON."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return None
    return value.item() if hasattr(value, "item") else value
