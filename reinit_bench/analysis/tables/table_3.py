"""Table 3: which method outperforms which, by architecture: our counts, p-values and marks, and the paper's marks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame import notes, paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.methods import PAPERS
from reinit_bench.analysis.stats.scores import ALL, Scores, by_model, scores_by_setting
from reinit_bench.analysis.stats.significance import LEVEL, ExactTest, binomial, compare
from reinit_bench.analysis.tables.table import Cell, Row, Table

FROM_PAPER = True

_SIGNS = {"circle": "○", "star": "★", "": ""}
_FIELDS = ["model", "row", "column", "wins", "losses", "ties", "missing", "p", "p_holm", "mark", "published"]
_LEGEND = (
    "a cell tells whether the method in its column outperforms that in its row: ★ at 95% by the exact binomial test, "
    "○ also after Holm's correction over the architecture's pairs; after it wins–losses; the paper has no row for all"
)
_UNIT = "one comparison per setting (dataset, augmentation/dropout, initializer); seeds are averaged within a setting"

_ALONE = "compared with the paper's marks below: ours with Holm's correction over its own methods' pairs alone"


def significance_table(collection: Collection, test: ExactTest | None = None) -> Table:
    """Table 3 from the settings that the collection has, by one interpretation of the test."""
    test = test or ExactTest()
    scores = scores_by_setting(collection)
    pairs = _pairs(scores, test)
    of_paper = _pairs(scores.of_paper(), test)  # more methods make Holm's correction stricter
    printed = of_paper[of_paper["published"].notna() & (of_paper["row"] != "lw")]
    source = f" from {collection.source}" if collection.source else ""
    return Table(
        name="table3" + _suffix(test),
        caption=f"Table 3: significance of one method outperforming another, by architecture ({test}){source}",
        headings=("Architecture", "Row"),
        columns=tuple(scores.methods.values()),
        rows=tuple(_rows(pairs, scores.methods)),
        notes=(
            *([_LEGEND, _UNIT] if len(pairs) else [notes.no_settings("in which two methods have finished")]),
            *_settings(scores),
            *_missing(pairs[pairs["model"] != ALL]),
            *_too_few(pairs, test),
            *([_ALONE] if len(of_paper) and set(scores.methods) - set(PAPERS) else []),
            *_agreement(printed[~printed["model"].isin(_without_verdict(printed, test))]),
            *(_beyond(printed) if collection.source else []),
            *scores.left_out,
            *notes.left_out(collection),
        ),
        data=pairs[_FIELDS].round({"p": 6, "p_holm": 6}),
    )


def _suffix(test: ExactTest) -> str:
    return ("-one-sided" if test.one_sided else "") + ("-ties-split" if test.split_ties else "")


_OTHERS = (ExactTest(one_sided=True), ExactTest(split_ties=True), ExactTest(one_sided=True, split_ties=True))
TABLES = {"3": significance_table}
BY_NAME = {f"3{_suffix(test)}": partial(significance_table, test=test) for test in _OTHERS}


def _pairs(scores: Scores, test: ExactTest) -> pd.DataFrame:
    """The tests of each architecture, then of all together, where two methods can be compared.

    `published` is the mark of the published Table 3, None where it has none. LW's row, left out there, is empty.
    """
    marks = paper.published(3).set_index(["model", "row", "column"])["mark"].to_dict()
    marks |= {(model, "lw", name): "" for model in paper.MODELS for name in paper.LETTERS if name != "lw"}
    found = []
    for model, rows in sorted(by_model(scores.frame), key=lambda part: part[0] == ALL):
        pairs = compare(rows, list(scores.methods), test).assign(model=model)
        published = [marks.get((model, *names)) for names in zip(pairs["row"], pairs["column"], strict=True)]
        if pairs[["wins", "losses"]].any(axis=None):
            found.append(pairs.assign(published=pd.Series(published, dtype=object)))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=[*_FIELDS, "settings"])


def _rows(pairs: pd.DataFrame, methods: Mapping[str, str]) -> Iterator[Row]:
    """For each method of an architecture its row, and under it the paper's, where it has one."""
    for (model, name), own in pairs.groupby(["model", "row"], sort=False):
        by_column = {pair.column: pair for pair in own.itertuples()}
        ours = [_cell(by_column[column]) if column in by_column else Cell("") for column in methods]
        yield Row((str(model), methods[str(name)]), tuple(ours))
        published = dict(zip(own["column"], own["published"].map(_SIGNS), strict=True))
        if model in paper.MODELS and name in paper.LETTERS:
            theirs = [Cell(published[column] if pd.notna(published.get(column)) else "") for column in methods]
            yield Row((str(model), "paper"), tuple(theirs), published=True)


def _cell(pair: Any) -> Cell:
    return Cell(f"{_SIGNS[pair.mark]} {pair.wins}–{pair.losses}".strip()) if pair.settings else Cell()


def _settings(scores: Scores) -> list[str]:
    words = ", ".join(f"{model} {len(rows)}" for model, rows in by_model(scores.frame) if model != ALL)
    initializers = sorted(set(scores.frame["initializer"]))
    alone = f"; only {initializers[0]} (the paper's Table 3 has two initializers)" if len(initializers) == 1 else ""
    return [f"settings: {words}{alone}"] if words else []


def _missing(pairs: pd.DataFrame) -> list[str]:
    """How many comparisons lack one of their two numbers; each pair of methods counted once."""
    lost, whole = (int(pairs[name].sum()) // 2 for name in ("missing", "settings"))
    words = (
        f"{lost} of {lost + whole} comparisons lack a number (not run, or damaged in our copy of the paper): left out"
    )
    return [words] if lost else []


def _without_verdict(pairs: pd.DataFrame, test: ExactTest) -> list[str]:
    """The architectures with too few settings for any verdict."""
    most = pairs.groupby("model", sort=False)["settings"].max()
    return [str(model) for model in most.index[most < test.fewest_settings]]


def _too_few(pairs: pd.DataFrame, test: ExactTest) -> list[str]:
    few = ", ".join(_without_verdict(pairs, test))
    needed = f"a verdict needs {test.fewest_settings} settings or more"
    return [f"too few settings for any verdict: {few} ({needed})"] if few else []


def _agreement(printed: pd.DataFrame) -> Iterator[str]:
    """Where ours and the published marks agree, and where not."""
    unlike = printed[printed["mark"] != printed["published"]]
    ours, theirs = unlike["mark"] != "", unlike["published"] != ""
    if len(printed):
        yield f"{len(printed) - len(unlike)} of {len(printed)} published cells have the same mark here"
    yield from _listed(
        "differ in Holm's correction only (★ for ○ or the reverse)", map(_arrow, unlike[ours & theirs].itertuples())
    )
    yield from _listed("significant here, not in the paper", map(_counted, unlike[ours & ~theirs].itertuples()))
    yield from _listed("significant in the paper, not here", map(_counted, unlike[theirs & ~ours].itertuples()))


def _beyond(printed: pd.DataFrame) -> Iterator[str]:
    """The published marks that no outcome of the printed ties and the lost numbers could give."""
    words = "the paper's verdict cannot come from the printed settings, however their ties and lost numbers turn out"
    yield from _listed(
        words, (_arrow(pair) for pair in printed.itertuples() if not _can_be(pair, bool(pair.published)))
    )


def _listed(words: str, cells: Iterable[str]) -> list[str]:
    cells = list(cells)
    return [f"{words} ({len(cells)}): {', '.join(cells)}"] if cells else []


def _counted(pair: Any) -> str:
    return f"{_arrow(pair)} ({pair.wins}–{pair.losses}, p = {pair.p:.2g})"


def _arrow(pair: Any) -> str:
    return f"{pair.model} {pair.column.upper()} over {pair.row.upper()}"


def _can_be(pair: Any, significant: bool) -> bool:
    """Whether some outcome of the tied and the missing comparisons gives this verdict, uncorrected and two-sided."""
    n = pair.settings + pair.missing
    possible = range(pair.wins, n - pair.losses + 1)
    return any((2 * wins > n and binomial(wins, n) <= LEVEL) == significant for wins in possible)
