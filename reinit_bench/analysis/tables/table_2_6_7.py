"""Tables 2, 6 and 7: test accuracy of the methods by dataset and model, our runs with the paper's values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby

import pandas as pd

from reinit_bench.analysis.frame import notes, paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import condition_label
from reinit_bench.analysis.frame.methods import ordered_methods
from reinit_bench.analysis.stats.summary import Summary, estimate, paired_differences
from reinit_bench.analysis.tables.accuracy_rows import AccuracyRow, accuracy_rows
from reinit_bench.analysis.tables.table import Cell, Row, Table, mark_best

Published = Mapping[tuple[str, str, str], float | None]

_CELLS = "test accuracy [%], mean ± standard deviation over n seeds, or (fewer); —: missing"
_PAPER_ROWS = "rows named paper: its published values, — where our copy of the paper is damaged"
_FIELDS = ("dataset", "model", "method", "n", "mean", "std", "published")


def accuracy_table(collection: Collection, number: int) -> Table:
    """Table 2, 6 or 7 from the runs of its condition; other runs of the collection are not looked at."""
    condition = paper.CONDITIONS[number]
    runs = collection.images
    for column, value in condition.settings.items():
        runs = runs[runs[column] == value]
    shown = accuracy_rows(runs, collection.settings)
    published = paper.published_accuracy(number)
    methods = _methods(runs)
    return Table(
        name=f"table{number}",
        caption=f"Table {number}: test accuracy [%] {condition.words} (He normal initializer)",
        headings=("Dataset", "Model", "n"),
        columns=tuple(methods.values()),
        rows=tuple(_rows(shown, methods, published, of_paper=collection.source is not None)),
        best="the best of its row as printed, where there are two or more",
        notes=(
            *(_legend(shown, runs, methods) if shown else notes.no_runs(collection, condition.words)),
            *(_paired(runs) if len(shown) == 1 else []),
            *notes.settings_unlike_paper(runs),
            *_paper_means(shown, published),
            f"{_missing(shown, published)} of {len(published)} published cells have no run yet",
            *notes.left_out(collection),
            *notes.mixed_code(runs),
        ),
        data=_data(shown, methods, published),
        condition=condition_label(condition.augmentation, condition.dropout_rate),
    )


TABLES = {number: partial(accuracy_table, number=number) for number in paper.CONDITIONS}


def _methods(runs: pd.DataFrame) -> dict[str, str]:
    """The methods with the headings of their columns: the paper's six, then all others that have runs.

    A letter that another method has too is no heading: then it is the label, or the name.
    """
    labels = dict(zip(runs["method"], runs["method_label"], strict=True))
    letters = {**dict(zip(runs["method"], runs["method_letter"], strict=True)), **paper.LETTERS}
    found: dict[str, str] = {}
    for name in ordered_methods(letters):
        choices = (letters[name], labels.get(name, name), name)
        found[name] = next((choice for choice in choices if choice not in found.values()), name)
    return found


def _legend(shown: Sequence[AccuracyRow], runs: pd.DataFrame, methods: Mapping[str, str]) -> list[str]:
    labels = dict(zip(runs["method"], runs["method_label"], strict=True))
    others = [(heading, labels[name]) for name, heading in methods.items() if name not in paper.LETTERS]
    headings = [paper.LEGEND, *(f"{heading}: {label}" for heading, label in others if heading != label)]
    legend = f"{', '.join(headings)}; {_CELLS}"
    return [legend, _PAPER_ROWS] if any(row.in_paper for row in shown) else [legend]


def _paired(runs: pd.DataFrame) -> list[str]:
    """What each method gains over BL, paired by seed; said where one row is all that there is."""
    paired, found = paired_differences(runs, "method", "bl"), []
    for method in ordered_methods(paired["method"]):
        own = paired[paired["method"] == method]
        gain = estimate([Summary.of(own["difference"])])
        if gain.margin is not None:
            found.append(f"{own['method_label'].iloc[0]} {gain} (n = {gain.n})")
    words = "difference from BL in points, paired by seed, with half the width of its 95% t-interval"
    return [f"{words}: {', '.join(found)}"] if found else []


def _paper_means(shown: Sequence[AccuracyRow], published: Published) -> list[str]:
    """The paper's mean over its datasets, for each of its models that we trained on a dataset it does not have."""
    found = []
    for model in dict.fromkeys(row.model for row in shown if not row.in_paper and row.model in paper.MODELS):
        rows = [[published[dataset, model, name] for name in paper.LETTERS] for dataset in paper.DATASETS]
        whole = [[value for value in row if value is not None] for row in rows if None not in row]
        means = [sum(column) / len(whole) for column in zip(*whole, strict=True)]
        values = " ".join(f"{letter} {mean:.1f}" for letter, mean in zip(paper.LETTERS.values(), means, strict=True))
        found.append(f"the paper's {model}, mean over its {len(whole)} datasets with all six values: {values}")
    return found


def _rows(
    shown: Sequence[AccuracyRow], methods: Mapping[str, str], published: Published, *, of_paper: bool
) -> Iterator[Row]:
    """Our rows; under those of one dataset and model the paper's, where it has one."""
    for (dataset, model), group in groupby(shown, key=lambda row: (row.dataset, row.model)):
        own = list(group)
        for row in own:
            # Of published rows too: with a value lost, nobody knows which was the best.
            has_best = len(row.methods) > 1 and (not of_paper or row.methods.keys() >= paper.LETTERS.keys())
            yield row.printed(methods, row.label, best=has_best)
        known = own[0].in_paper
        if (known, model, "bl") in published:
            yield _paper_row(dataset, [published[known, model, name] for name in paper.LETTERS], len(methods))


def _paper_row(dataset: str, values: Sequence[float | None], columns: int) -> Row:
    six = [Cell(None if value is None else f"{value:.1f}") for value in values]
    # With a value lost, nobody knows which was the best.
    cells = six if Cell() in six else mark_best(six)
    others = [Cell("")] * (columns - len(six))  # the paper has no value to miss
    return Row((dataset, "paper", ""), (*cells, *others), published=True)


def _missing(shown: Sequence[AccuracyRow], published: Published) -> int:
    ours = {(row.in_paper, row.model, method) for row in shown for method in row.methods}
    return sum(cell not in ours for cell in published)


def _data(shown: Sequence[AccuracyRow], methods: Mapping[str, str], published: Published) -> pd.DataFrame:
    """Every cell of our rows and of the published grid, in the paper's order, in percent."""
    grid = list(dict.fromkeys((dataset, model) for dataset, model, _ in published))
    ours = {(row.in_paper, row.model) for row in shown}
    every = [*shown, *(AccuracyRow(*place, place[1], place[0]) for place in grid if place not in ours)]
    # The sort is stable: rows that are not in the grid keep their own order, after it.
    every.sort(key=lambda row: grid.index(place) if (place := (row.dataset, row.model)) in grid else len(grid))
    records = []
    for row in every:
        for name in methods if row.methods else paper.LETTERS:
            numbers = row.methods[name].for_csv if name in row.methods else (0, None, None)
            value = published.get((row.in_paper, row.model, name))
            records.append((row.dataset, row.label, name, *numbers, value))
    return pd.DataFrame(records, columns=_FIELDS)
