"""Table 3: which method outperforms which, by architecture: our counts, p-values and marks, and the paper's marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import pandas as pd

from reinit_bench.analysis.frame import notes, paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.methods import PAPERS
from reinit_bench.analysis.stats.scores import ALL, Scores, by_model, scores_by_setting
from reinit_bench.analysis.stats.significance import LEVEL, ExactTest, Pair, binomial, compare
from reinit_bench.analysis.tables.table import Cell, Row, Table

FROM_PAPER = True

_SIGNS = {"circle": "○", "star": "★", "": ""}
_FIELDS = ("model", "row", "column", "wins", "losses", "ties", "missing", "p", "p_holm", "mark", "published")
_LEGEND = (
    "a cell tells whether the method in its column outperforms that in its row: ★ at 95% by the exact binomial test, "
    "○ also after Holm's correction over the architecture's pairs; after it wins–losses; the paper has no row for all"
)
_UNIT = "one comparison per setting (dataset, augmentation/dropout, initializer); seeds are averaged within a setting"

_ALONE = "compared with the paper's marks below: ours with Holm's correction over its own methods' pairs alone"

Marks = Mapping[tuple[str, str, str], str]
Pairs = Mapping[str, Sequence[Pair]]


def significance_table(collection: Collection, test: ExactTest | None = None) -> Table:
    """Table 3 from the settings that the collection has, by one interpretation of the test."""
    test = test or ExactTest()
    scores = scores_by_setting(collection)
    pairs = pairs_by_model(scores, test)
    paper_pairs = pairs_by_model(scores.of_paper(), test)  # more methods make Holm's correction stricter
    marks = published_marks()
    source = f" from {collection.source}" if collection.source else ""
    return Table(
        name="table3" + _suffix(test),
        caption=f"Table 3: significance of one method outperforming another, by architecture ({test}){source}",
        headings=("Architecture", "Row"),
        columns=tuple(scores.methods.values()),
        rows=tuple(_rows(pairs, scores.methods, marks)),
        notes=(
            *([_LEGEND, _UNIT] if pairs else [notes.no_settings("in which two methods have finished")]),
            *_settings(scores),
            *_missing(pairs),
            *_too_few(pairs, test),
            *([_ALONE] if paper_pairs and set(scores.methods) - set(PAPERS) else []),
            *_agreement({model: found for model, found in paper_pairs.items() if _has_enough(found, test)}, marks),
            *(_beyond(paper_pairs, marks) if collection.source else []),
            *scores.left_out,
            *notes.left_out(collection),
        ),
        data=pd.DataFrame([_record(model, pair, marks) for model in pairs for pair in pairs[model]], columns=_FIELDS),
    )


def pairs_by_model(scores: Scores, test: ExactTest) -> Pairs:
    """The tests of each architecture, then of all together, where two methods can be compared."""
    parts = sorted(by_model(scores.frame), key=lambda part: part[0] == ALL)
    compared = {model: compare(rows, list(scores.methods), test) for model, rows in parts}
    return {model: pairs for model, pairs in compared.items() if any(pair.wins + pair.losses for pair in pairs)}


def published_marks() -> Marks:
    """The marks of the published Table 3 by architecture, row and column; LW's row, left out there, is empty."""
    rows = paper.published(3).itertuples(index=False, name=None)
    marks = {(str(model), str(row), str(column)): str(mark) for model, row, column, mark in rows}
    return marks | {(model, "lw", name): "" for model in paper.MODELS for name in paper.LETTERS if name != "lw"}


def _suffix(test: ExactTest) -> str:
    return ("-one-sided" if test.one_sided else "") + ("-ties-split" if test.split_ties else "")


_OTHERS = (ExactTest(one_sided=True), ExactTest(split_ties=True), ExactTest(one_sided=True, split_ties=True))
TABLES = {"3": significance_table}
BY_NAME = {f"3{_suffix(test)}": partial(significance_table, test=test) for test in _OTHERS}


def _rows(pairs: Pairs, methods: Mapping[str, str], marks: Marks) -> Iterator[Row]:
    for model, tests in pairs.items():
        by_place = {(pair.row, pair.column): pair for pair in tests}
        for name, label in methods.items():
            ours = [by_place.get((name, column)) for column in methods]
            yield Row((model, label), tuple(map(_cell, ours)))
            if (model, name, "bl") in marks or (model, name, "lw") in marks:
                theirs = [_SIGNS[marks.get((model, name, column), "")] for column in methods]
                yield Row((model, "paper"), tuple(map(Cell, theirs)), published=True)


def _cell(pair: Pair | None) -> Cell:
    if pair is None:  # the diagonal
        return Cell("")
    if not pair.settings:
        return Cell()
    return Cell(f"{_SIGNS[pair.mark]} {pair.wins}–{pair.losses}".strip())


def _record(model: str, pair: Pair, marks: Marks) -> tuple[object, ...]:
    counts = pair.wins, pair.losses, pair.ties, pair.missing
    published = marks.get((model, pair.row, pair.column))
    return model, pair.row, pair.column, *counts, round(pair.p, 6), round(pair.p_holm, 6), pair.mark, published


def _settings(scores: Scores) -> list[str]:
    words = ", ".join(f"{model} {len(rows)}" for model, rows in by_model(scores.frame) if model != ALL)
    initializers = sorted(set(scores.frame["initializer"]))
    alone = f"; only {initializers[0]} (the paper's Table 3 has two initializers)" if len(initializers) == 1 else ""
    return [f"settings: {words}{alone}"] if words else []


def _missing(pairs: Pairs) -> list[str]:
    """How many comparisons lack one of their two numbers; each pair of methods counted once."""
    tests = [pair for model in pairs if model != ALL for pair in pairs[model]]
    lost = sum(pair.missing for pair in tests) // 2
    every = sum(pair.missing + pair.settings for pair in tests) // 2
    words = f"{lost} of {every} comparisons lack a number (not run, or damaged in our copy of the paper): left out"
    return [words] if lost else []


def _has_enough(tests: Sequence[Pair], test: ExactTest) -> bool:
    """Whether any of these tests has enough settings for a verdict."""
    return any(pair.settings >= test.fewest_settings for pair in tests)


def _too_few(pairs: Pairs, test: ExactTest) -> list[str]:
    few = [model for model, tests in pairs.items() if not _has_enough(tests, test)]
    needed = f"a verdict needs {test.fewest_settings} settings or more"
    return [f"too few settings for any verdict: {', '.join(few)} ({needed})"] if few else []


def _printed(pairs: Pairs, marks: Marks) -> list[tuple[str, Pair, str]]:
    """The cells that the paper prints, with its marks."""
    return [
        (model, pair, marks[model, pair.row, pair.column])
        for model, tests in pairs.items()
        for pair in tests
        if (model, pair.row, pair.column) in marks and pair.row != "lw"
    ]


def _agreement(pairs: Pairs, marks: Marks) -> list[str]:
    """Where ours and the published marks agree, and where not."""
    printed = _printed(pairs, marks)
    if not printed:
        return []
    unlike = [cell for cell in printed if cell[1].mark != cell[2]]
    corrected = [f"{model} {_arrow(pair)}" for model, pair, mark in unlike if pair.mark and mark]
    here = [_counted(model, pair) for model, pair, mark in unlike if pair.mark and not mark]
    there = [_counted(model, pair) for model, pair, mark in unlike if mark and not pair.mark]
    parts = (
        ("differ in Holm's correction only (★ for ○ or the reverse)", corrected),
        ("significant here, not in the paper", here),
        ("significant in the paper, not here", there),
    )
    same = f"{len(printed) - len(unlike)} of {len(printed)} published cells have the same mark here"
    return [same, *(f"{words} ({len(cells)}): {', '.join(cells)}" for words, cells in parts if cells)]


def _beyond(pairs: Pairs, marks: Marks) -> list[str]:
    """The published marks that no outcome of the printed ties and the lost numbers could give."""
    cells = [f"{model} {_arrow(pair)}" for model, pair, mark in _printed(pairs, marks) if not _can_be(pair, bool(mark))]
    words = "the paper's verdict cannot come from the printed settings, however their ties and lost numbers turn out"
    return [f"{words} ({len(cells)}): {', '.join(cells)}"] if cells else []


def _counted(model: str, pair: Pair) -> str:
    return f"{model} {_arrow(pair)} ({pair.wins}–{pair.losses}, p = {pair.p:.2g})"


def _arrow(pair: Pair) -> str:
    return f"{pair.column.upper()} over {pair.row.upper()}"


def _can_be(pair: Pair, significant: bool) -> bool:
    """Whether some outcome of the tied and the missing comparisons gives this verdict, uncorrected and two-sided."""
    n = pair.settings + pair.missing
    possible = range(pair.wins, n - pair.losses + 1)
    return any((2 * wins > n and binomial(wins, n) <= LEVEL) == significant for wins in possible)
