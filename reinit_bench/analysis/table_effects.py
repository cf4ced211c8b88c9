"""Effect sizes: the methods' mean ranks with the critical difference, and their gain over BL by training-set size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from reinit_bench.analysis import notes
from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.gains import Gain, by_group, gains
from reinit_bench.analysis.layout import Cell, Row, Table
from reinit_bench.analysis.outcomes import Outcomes, outcomes
from reinit_bench.analysis.published_runs import SOURCE
from reinit_bench.analysis.ranks import Ranking, rankings

FROM_PAPER = True

_START = "start with: reinit-bench -m study=table3, or study=digits"
_RANKS = (
    "CD: critical difference (Nemenyi, 95%): methods whose mean ranks differ by more are different; p: Friedman's test",
    "over settings the test is too sure of itself: settings of one dataset are not independent of each other",
)
_GAINS = (
    "percentage points, ± half the 95% t-interval over the datasets of the group (or the settings of its only one); "
    "the intervals are many and not corrected for that, and those over two or three datasets are rough"
)


def ranks_table(collection: Collection) -> Table:
    """Mean ranks by architecture, over datasets and over settings."""
    found = outcomes(collection).common()
    ranked = rankings(found)
    said = _RANKS if ranked else [f"no setting in {collection.results_dir} in which all methods finished; {_START}"]
    return Table(
        name="ranks",
        caption=f"Mean rank of the methods (1 is the best), by architecture{_source(collection)}",
        headings=("Architecture", "Over", "n"),
        columns=(*found.methods.values(), "CD", "p"),
        rows=tuple(_ranks_row(one, found.methods) for one in ranked),
        best="the best of its row",
        notes=notes.joined(said, _complete(found), found.left_out, notes.left_out(collection)),
        data=pd.DataFrame(list(_ranks_data(ranked)), columns=_RANKS_FIELDS),
    )


def gains_table(collection: Collection) -> Table:
    """Mean gain over BL by architecture and size of the training set."""
    found = outcomes(collection)
    gained = gains(found)
    methods = {name: label for name, label in found.methods.items() if name != "bl"}
    said = [_GAINS] if gained else [f"no setting in {collection.results_dir} with BL and another method; {_START}"]
    unknown = int(found.frame["examples"].isna().sum())
    return Table(
        name="gains",
        caption=f"Mean gain over BL in test accuracy, by size of the training set{_source(collection)}",
        headings=("Architecture", "Training examples", "Over"),
        columns=tuple(methods.values()),
        rows=tuple(_gains_rows(gained, methods)),
        best="the largest of its row",
        notes=notes.joined(
            said,
            [f"left out: {unknown} settings whose training-set size is not known"] if unknown else [],
            found.left_out,
            notes.left_out(collection),
        ),
        data=pd.DataFrame([_gains_record(gain) for gain in gained], columns=_GAINS_FIELDS),
    )


TABLES = {"ranks": ranks_table, "gains": gains_table}
_RANKS_FIELDS = ("model", "unit", "n", "method", "mean_rank", "critical_difference", "friedman", "p")
_GAINS_FIELDS = ("model", "smallest", "largest", "method", "unit", "n", "mean_gain", "half_width")


def _source(collection: Collection) -> str:
    return f", from {SOURCE}" if collection.from_paper else ""


def _complete(found: Outcomes) -> list[str]:
    lost = len(found.frame) - len(found.complete)
    return [f"{lost} of {len(found.frame)} settings lack the number of a method and are left out"] if lost else []


def _ranks_row(one: Ranking, methods: Mapping[str, str]) -> Row:
    texts = {name: f"{one.mean_ranks[name]:.2f}" for name in methods}
    best = min(texts.values(), key=float)
    cells = [Cell(text, best=text == best) for text in texts.values()]
    p = Cell() if one.p is None else Cell(f"{one.p:.1g}")
    return Row((one.model, f"{one.unit}s", str(one.n)), (*cells, Cell(f"{one.critical_difference:.2f}"), p))


def _ranks_data(ranked: Sequence[Ranking]) -> Iterator[tuple[object, ...]]:
    for one in ranked:
        test = round(one.critical_difference, 4), None if one.statistic is None else round(one.statistic, 4), one.p
        yield from ((one.model, one.unit, one.n, name, round(mean, 4), *test) for name, mean in one.mean_ranks.items())


def _gains_rows(gained: Sequence[Gain], methods: Mapping[str, str]) -> Iterator[Row]:
    for (model, _), found in by_group(gained).items():
        most = max(found.values(), key=lambda gain: gain.n)
        texts = {name: f"{round(gain.mean, 1) + 0.0:+.1f}" for name, gain in found.items()}
        best = max(texts.values(), key=float)
        cells = [
            Cell(texts[name], _spread(found[name]), _fewer(found[name], most), texts[name] == best)
            if name in found
            else Cell()
            for name in methods
        ]
        over = f"{most.n} {most.unit}{'s' * (most.n > 1)}"
        yield Row((model, most.size_words, over), tuple(cells))


def _spread(gain: Gain) -> str:
    return "" if gain.half is None else f"{gain.half:.1f}"


def _fewer(gain: Gain, most: Gain) -> int | None:
    return gain.n if gain.n < most.n else None


def _gains_record(gain: Gain) -> tuple[object, ...]:
    half = None if gain.half is None else round(gain.half, 4)
    return gain.model, *gain.sizes, gain.method, gain.unit, gain.n, round(gain.mean, 4), half
