"""Tables 2, 6 and 7: test accuracy of the six methods by dataset and model, our runs with the paper's values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby, product

import pandas as pd

from reinit_bench.analysis import notes, paper
from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.layout import Cell, Row, Table
from reinit_bench.analysis.lines import Line, Summary, lines

Published = Mapping[tuple[str, str, str], float | None]

_LEGEND = f"{paper.LEGEND}; test accuracy [%], mean ± standard deviation over n seeds, or (fewer); —: missing"
_FIELDS = ("dataset", "model", "method", "n", "mean", "std", "published")


def build(collection: Collection, number: int) -> Table:
    """Table 2, 6 or 7 from the runs of its condition; other runs of the collection are not looked at."""
    condition = paper.CONDITIONS[number]
    frame = collection.frame
    runs = frame[
        (frame["augmentation"] == condition.augmentation)
        & (frame["dropout_rate"] == condition.dropout_rate)
        & (frame["initializer"] == condition.initializer)
        & frame["image_size"].notna()  # vectors have tables of their own
    ]
    shown = lines(runs, collection.settings)
    published = paper.published_accuracy(number)
    methods = _methods(runs)
    data = _data(shown, methods, published)
    return Table(
        name=f"table{number}",
        caption=f"Table {number}: test accuracy [%] {condition.words} (He normal initializer)",
        headings=("Dataset", "Model", "n"),
        columns=tuple(methods.values()),
        rows=tuple(_rows(shown, methods, published)),
        best="the best of its row as printed, where there are two or more",
        notes=notes.joined(
            _reading(shown) if shown else notes.no_runs(collection, condition.words),
            notes.settings_unlike_paper(runs),
            _paper_means(shown, published),
            [notes.missing_cells(_missing(shown, published), len(published))],
            notes.left_out(collection),
            notes.mixed_code(runs),
        ),
        data=data,
    )


TABLES = {number: partial(build, number=number) for number in paper.CONDITIONS}


def _methods(runs: pd.DataFrame) -> dict[str, str]:
    """The methods with the headings of their columns: the paper's six, then a user's own in alphabetical order."""
    letters = dict(zip(runs["method"], runs["method_letter"], strict=True))
    return {**paper.LETTERS, **{name: letters[name] for name in sorted(letters) if name not in paper.LETTERS}}


def _reading(shown: Sequence[Line]) -> list[str]:
    beside = "rows named paper: its published values, — where our copy of the paper is damaged"
    return [_LEGEND, beside] if any(line.in_paper for line in shown) else [_LEGEND]


def _paper_means(shown: Sequence[Line], published: Published) -> list[str]:
    """What the paper reports of a model where ours trained it on a dataset that the paper has not: its mean."""
    found = []
    for model in dict.fromkeys(line.model for line in shown if not line.in_paper and line.model in paper.MODELS):
        rows = [[published[dataset, model, name] for name in paper.LETTERS] for dataset in paper.DATASETS]
        whole = [[value for value in row if value is not None] for row in rows if None not in row]
        means = [sum(column) / len(whole) for column in zip(*whole, strict=True)]
        values = " ".join(f"{letter} {mean:.1f}" for letter, mean in zip(paper.LETTERS.values(), means, strict=True))
        found.append(f"the paper's {model}, mean over its {len(whole)} datasets with all six values: {values}")
    return found


def _rows(shown: Sequence[Line], methods: Mapping[str, str], published: Published) -> Iterable[Row]:
    """Our lines; under those of one dataset and model the paper's, where it has one."""
    for (dataset, model), group in groupby(shown, key=lambda line: (line.dataset, line.model)):
        own = list(group)
        yield from (_own_row(line, methods) for line in own)
        known = own[0].in_paper
        if known and (known, model, "bl") in published:
            yield _paper_row(dataset, {name: published.get((known, model, name)) for name in methods})


def _own_row(line: Line, methods: Mapping[str, str]) -> Row:
    most = max(summary.n for summary in line.methods.values())
    means = {name: f"{summary.mean:.1f}" for name, summary in line.methods.items()}
    best = _best(means.values()) if len(means) > 1 else None

    def cell(summary: Summary | None) -> Cell:
        if summary is None:
            return Cell()
        text = f"{summary.mean:.1f}"
        spread = "" if summary.std is None else f"{summary.std:.1f}"
        return Cell(text, spread, summary.n if summary.n < most else None, text == best)

    return Row((line.dataset, line.label, str(most)), tuple(cell(line.methods.get(name)) for name in methods))


def _paper_row(dataset: str, values: Mapping[str, float | None]) -> Row:
    six = {name: values[name] for name in paper.LETTERS}
    texts = {name: f"{value:.1f}" for name, value in six.items() if value is not None}
    # With a value lost, nobody knows which was the best.
    best = _best(texts.values()) if len(texts) == len(six) else None
    cells = [
        Cell("") if name not in six else Cell(texts[name], best=texts[name] == best) if name in texts else Cell()
        for name in values
    ]
    return Row((dataset, "paper", ""), tuple(cells), published=True)


def _best(printed: Iterable[str]) -> str:
    """The largest of the numbers as printed, so that two that read alike are both the best."""
    return max(printed, key=float)


def _missing(shown: Sequence[Line], published: Published) -> int:
    ours = {(line.in_paper, line.model, method) for line in shown for method in line.methods}
    return sum(cell not in ours for cell in published)


def _data(shown: Sequence[Line], methods: Mapping[str, str], published: Published) -> pd.DataFrame:
    """Every cell of our lines and of the published grid, in the paper's order, in percent."""
    grid = [Line(dataset, model, model, dataset) for dataset, model in product(paper.DATASETS, paper.MODELS)]
    ours = {(line.in_paper, line.model) for line in shown}
    rest = [line for line in grid if (line.in_paper, line.model) not in ours]
    place = {(line.dataset, line.model): index for index, line in enumerate(grid)}
    every = [*((line, methods) for line in shown), *((line, paper.LETTERS) for line in rest)]
    # The sort is stable: lines that are not in the grid keep their own order, after it.
    every.sort(key=lambda item: place.get((item[0].dataset, item[0].model), len(place)))
    records = [_record(line, method, published) for line, names in every for method in names]
    return pd.DataFrame(records, columns=_FIELDS)


def _record(line: Line, method: str, published: Published) -> tuple[object, ...]:
    summary = line.methods.get(method)
    value = published.get((line.in_paper, line.model, method)) if line.in_paper else None
    if summary is None:
        return line.dataset, line.label, method, 0, None, None, value
    std = None if summary.std is None else round(summary.std, 4)
    return line.dataset, line.label, method, summary.n, round(summary.mean, 4), std, value
