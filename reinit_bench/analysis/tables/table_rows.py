"""Rows of the paper's tables made again beside the paper's numbers. Built when it is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from reinit_bench.analysis.frame import notes
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.settings import PAPER
from reinit_bench.analysis.stats import paper_rows as rows
from reinit_bench.analysis.stats.paper_rows import ARMS, BASELINE, CONTROLS, PaperRow
from reinit_bench.analysis.stats.summary import Summary
from reinit_bench.analysis.tables.table import Cell, Row, Table, estimate_cell, score_cell

_START = "no finished run of a row with BL and another arm; start with: reinit-bench -m study=rows"
_LEGEND = (
    "accuracy: test accuracy [%], mean ± standard deviation over n seeds; over: difference in points, paired by seed, "
    "± half its 95% t-interval, or (fewer seeds), many and not corrected for that; of a gain over BL, the part that is "
    "left beside a control stands under over that control",
    f"sign: whether the difference has the paper's sign; tie: the paper's is below {rows.TIE} points, not counted",
    "steps: trained in all rounds, mean over seeds; learned: training accuracy of the weights that are tested [%]",
    "chance: the six methods' accuracies permuted within row and seed, since five signs share one baseline; p: the "
    "share of permutations that agree with the paper as well or better",
)
_BASES = (BASELINE, *CONTROLS)
_FIELDS = (
    *("row", "table", "arm", "n", "mean", "std", "published", "published_difference", "sign", "steps", "learned"),
    *(f"{name}_{base}" for base in _BASES for name in ("over", "half_width", "n")),
)


def rows_table(collection: Collection) -> Table:
    """A block for each row, and in the notes how far rows agree with the paper, and chance does."""
    found = rows.paper_rows(collection)
    lines = [line for row in found for line in _lines(row)]
    over = [f"over {label}" for label in CONTROLS.values()]
    return Table(
        name="rows",
        caption="Rows of the paper's tables beside the paper's numbers",
        headings=("Row", "Arm", "n"),
        columns=("accuracy", "paper", "over BL", "paper's", "sign", *over, "steps", "learned"),
        rows=tuple(row for row, _ in lines),
        notes=(
            *([*_agreements(found), *_LEGEND, *_about(found)] if found else [_START]),
            *notes.left_out(collection),
        ),
        data=pd.DataFrame([numbers for _, numbers in lines], columns=_FIELDS).round(4),
    )


BY_NAME = {"rows": rows_table}


def _lines(row: PaperRow) -> Iterator[tuple[Row, tuple[object, ...]]]:
    """Each arm as printed, and as the CSV has it."""
    differences = {base: row.differences(base) for base in _BASES}
    for arm, label in ARMS.items():
        own = row.runs[row.runs["arm"] == arm]
        if own.empty:
            continue
        accuracy, steps, learned = Summary.of(100 * own["test_accuracy"]), *own[["steps", "train_accuracy"]].mean()
        published, gain = row.published.get(arm), row.published_difference(arm)
        over = [differences[base].get(arm) for base in _BASES]
        sign = "" if gain is None or over[0] is None else _sign(row.sign(arm), over[0].value)
        printed = [
            Cell("") if arm == base else estimate_cell(one, 1, accuracy.n)
            for base, one in zip(_BASES, over, strict=True)
        ]
        cells = (
            *(score_cell(accuracy, 1, None), Cell("" if published is None else f"{published:.1f}"), printed[0]),
            *(Cell("" if gain is None else f"{gain:+.1f}"), Cell(sign), *printed[1:]),
            *(Cell(f"{steps:,.0f}"), Cell(f"{100 * learned:.1f}")),
        )
        numbers = [number for one in over for number in ((one.value, one.margin, one.n) if one else (None, None, 0))]
        told = *accuracy.for_csv, published, gain, sign, steps, 100 * learned, *numbers
        yield Row((row.label, label, str(accuracy.n)), cells), (row.label, row.table, arm, *told)


def _sign(published: int, difference: float) -> str:
    return "tie" if not published else "met" if difference * published > 1e-6 else "not met"


def _agreements(found: Sequence[PaperRow]) -> Iterator[str]:
    """What agrees with the paper in each row, and over the rows of a published table."""
    for table in dict.fromkeys(row.table for row in found):
        own = [row for row in found if row.table == table]
        for row in own:
            one = rows.correlation_by_seed(row)
            margin = "" if one is None or one.margin is None else f" ± {one.margin:.2f}"
            by_seed = "" if one is None else f", of one seed's six runs {one.value:+.2f}{margin} (n = {one.n})"
            yield f"{row.label}: {_words(rows.agreement([row]))}{by_seed}"
        if len(own) > 1:
            yield f"over these {len(own)} rows: {_words(rows.agreement(own))}"


def _words(one: rows.Agreement) -> str:
    signs = "none of the paper's signs to meet"
    if one.signs:
        chance = f"chance {one.chance:.1f}, in 95% up to {one.high}; p = {one.p:.2g}"
        signs = f"{one.met} of {one.signs} of the paper's signs met ({chance})"
    if one.correlation is None:
        return signs
    mean = f", mean of {one.rows} rows" if one.rows > 1 else ""
    words = f"rank correlation of the six methods with the paper's {one.correlation:+.2f}{mean}"
    return f"{signs}; {words} (p = {one.correlation_p:.2g})"


def _about(found: Sequence[PaperRow]) -> Iterator[str]:
    """What is missing, and what these rows are not."""
    runs = pd.concat([row.runs for row in found])
    seeds = runs["seed"].nunique()
    for row in found:
        counts = {label: int(row.runs["arm"].eq(arm).sum()) for arm, label in ARMS.items()}
        lacking = [f"{label} {seeds - n}" for label, n in counts.items() if n < seeds]
        if lacking:
            yield f"missing of {seeds} seeds in {row.label}: {', '.join(lacking)}"
    absent = [name for name in rows.DATASETS if name not in {row.dataset for row in found}]
    reduced = [
        *(f"{size:.0f}x{size:.0f}" for size in sorted(set(runs["image_size"]) - {PAPER["image_size"]})),
        *(f"width {width:g}" for width in sorted(set(runs["width"]) - {PAPER["width"]})),
        *(f"{cut:,.0f} images" for cut in sorted(set(runs["train_examples"].dropna()))),
    ]
    copies = [row.label for row in found if row.runs["dataset"].isin(rows.COPIES).any()]
    drawn_alike = runs.reindex(columns=["dataset.split_seed"]).iloc[:, 0].notna()
    shared = [row.label for row in found if row.runs["seed"].nunique() > 1 and drawn_alike[row.runs.index].all()]
    for words, names in (
        ("no runs yet", absent),
        ("reduced", reduced),
        ("a part or a smaller copy of the paper's dataset", copies),
        ("the same training images for every seed, so that intervals say nothing of others", shared),
    ):
        yield from [f"{words}: {', '.join(names)}"] if names else []
    yield from notes.settings_unlike_paper(runs)
    yield from notes.mixed_code(runs)
