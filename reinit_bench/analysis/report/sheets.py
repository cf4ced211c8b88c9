"""The paper's tables for the page: the same builders as `reinit-bench tables`."""

from __future__ import annotations

from collections.abc import Iterator

from reinit_bench.analysis import paper
from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.layout import Table
from reinit_bench.analysis.render import plain
from reinit_bench.analysis.report.page import Line, Sheet
from reinit_bench.analysis.tables import builders

_DATASET, _MODEL = ("Dataset",), ("Model", "Architecture")


def sheets(collection: Collection) -> tuple[Sheet, ...]:
    """Every table that is built where none is named."""
    return tuple(_sheet(name, build(collection)) for name, build in builders().usual.items())


def condition_words(augmentation: str, rate: float) -> str:
    """A condition as the filters name it: `mild augmentation, dropout 0.25`."""
    words = "no augmentation" if augmentation == "none" else f"{augmentation} augmentation"
    return f"{words}, dropout {rate:g}" if rate else words


_CONDITIONS = {
    f"table{number}": condition_words(one.augmentation, one.dropout_rate) for number, one in paper.CONDITIONS.items()
}
"""Tables 2, 6 and 7 are of one condition each; it is no column of theirs."""


def _sheet(name: str, table: Table) -> Sheet:
    return Sheet(
        name=table.name,
        caption=table.caption,
        headings=table.headings,
        columns=table.columns,
        lines=tuple(_lines(table)),
        notes=table.sentences("bold"),
        command=f"reinit-bench tables {name}",
    )


def _lines(table: Table) -> Iterator[Line]:
    dataset, model = _column(table.headings, _DATASET), _column(table.headings, _MODEL)
    first = len(table.headings)
    known: str | None = None
    for row in table.rows:
        if model is not None and not (row.published and row.headings[model] == "paper"):
            known = row.headings[model].partition(" [")[0]
        yield Line(
            cells=(*row.headings, *map(plain, row.cells)),
            dataset=None if dataset is None else row.headings[dataset],
            model=known if known != "all" else None,
            condition=_CONDITIONS.get(table.name),
            best=frozenset(first + place for place, cell in enumerate(row.cells) if cell.best),
            published=row.published,
        )


def _column(headings: tuple[str, ...], names: tuple[str, ...]) -> int | None:
    return next((place for place, heading in enumerate(headings) if heading in names), None)
