"""Table 4 (Appendix A): the synthetic data at alpha 0.5, by L2 penalty, our runs next to the paper's values.

When it is named, the search for what Appendix A leaves out is built too: every combination with its distance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from reinit_bench.analysis.runs import notes, paper
from reinit_bench.analysis.runs.collect import Collection
from reinit_bench.analysis.runs.distance import without_difference
from reinit_bench.analysis.synthetic import comparison
from reinit_bench.analysis.synthetic.comparison import ALLOWED, Comparisons, root_mean_square
from reinit_bench.analysis.synthetic.search import KINDS, SEARCH_SEEDS, Combination, combinations, with_kinds
from reinit_bench.analysis.tables.table import Cell, Row, Table

CHOSEN: Mapping[str, Any] = {
    "trainer.optimizer": "adam",
    "trainer.optimizer_between_rounds": "carry",
    "trainer.lr": 0.01,
    "model.hidden": "[32, 32, 32]",
    "start": "he_normal",
    "steps": 1000,
    "trainer.weight_decay_form": "sgd",
    "trainer.batch_size": 256,
    "train_examples": 256,
}
"""The values of `study=table4`, where the paper gives none, by the columns of `with_kinds`; LW has no lambda layers."""

_PUBLISHED_RUNS = 100
"""Runs that each published mean averages (Table 4's caption)."""

_LEGEND = "test accuracy [%], mean ± standard deviation over n seeds; the paper prints no spread"
_MEASURE = "of our own standard deviations over seeds"
_START = "no finished run of it; start with: reinit-bench -m study=table4"
_SEARCH_LEGEND = (
    "distance: root mean square difference from Table 4 in points, over its 18 cells, over the three without a "
    "penalty and over the fifteen with one, on the seeds that choose (0 to 2); judged: the first of them on all other "
    "seeds, with the number of those seeds; examples: of a step and in all; form: trainer.weight_decay_form; carry, "
    "fresh: trainer.optimizer_between_rounds"
)
_SEARCH_START = "no combination has runs in all cells; start with: reinit-bench -m study=table4_search"
_HOW_CHOSEN = "how its number of steps and learning rate were chosen: reinit-bench -m study=table4_search"
_LABELS = {"baseline": "Baseline", "rescaling": "Rescaling", "lw": "LW"}
_FIELDS = ("l2", "method", "n", "mean", "std", "published")


def penalty_table(collection: Collection) -> Table:
    """Table 4 from the runs of `study=table4`; what `study=table4_search` found stands under it.

    Seeds by which the settings were chosen do not count.
    """
    runs = without_difference(with_kinds(collection.frame), CHOSEN)
    runs = runs[~runs["seed"].isin(SEARCH_SEEDS)]
    ours = comparison.scores_by_place(runs[runs["kind"].isin(KINDS)], "trainer.weight_decay", "kind")
    cells = {
        (penalty, kind): comparison.compared(ours.get((penalty, kind)), round(100 * accuracy, 1))
        for penalty, kind, accuracy in paper.published(4).itertuples(index=False)
    }
    return Table(
        name="table4",
        caption="Table 4: test accuracy [%] on the synthetic data of Section 1.1 at alpha 0.5, by L2 penalty",
        headings=("L2 penalty", "Source", "n"),
        columns=tuple(_LABELS[kind] for kind in KINDS),
        rows=tuple(comparison.rows(cells)),
        best="the best of its row as printed",
        notes=(
            _LEGEND,
            comparison.agreement(cells, _MEASURE),
            *_strictness(cells),
            *_distance(cells),
            *_orderings(cells),
            *([] if ours else [_START]),
            *_searched(combinations(collection.frame)),
            *notes.mixed_code(runs),
        ),
        data=pd.DataFrame([comparison.record(*cell) for cell in cells.items()], columns=_FIELDS),
    )


def search_table(collection: Collection) -> Table:
    """One row per combination of settings that has runs in all 18 cells, the nearest to the paper first."""
    found = combinations(collection.frame)
    return Table(
        name="4-search",
        caption="What Appendix A leaves out: every combination that was tried, with its distance from Table 4",
        headings=("Optimizer",),
        columns=(
            *("hidden layers", "initializer", "steps", "examples", "form", "lambda layers"),
            *("distance", "at L2 = 0", "above", "judged"),
        ),
        rows=tuple(map(_search_row, found)),
        notes=(_SEARCH_LEGEND if found else _SEARCH_START,),
        data=pd.DataFrame([asdict(one) for one in found]),
    )


TABLES = {4: penalty_table}
BY_NAME = {"4-search": search_table}


def _search_row(one: Combination) -> Row:
    texts = (
        *(one.hidden, one.start, str(one.steps), f"{one.batch} of {one.examples}", one.form),
        "yes" if one.lambdas else "no",
        *(f"{points:.1f}" for points in (one.distance, one.without, one.penalized)),
    )
    judged = Cell("") if one.judged is None else Cell(f"{one.judged:.1f}", count=one.judging_seeds)
    return Row((one.training,), (*map(Cell, texts), judged))


def _strictness(cells: Comparisons) -> list[str]:
    """The same of means: how many are within the standard errors that 100 runs a side would have."""
    close = []
    for cell in cells.values():
        if cell.points is not None and cell.spread and cell.ours is not None:
            error = cell.spread * math.sqrt(1 / cell.ours.n + 1 / _PUBLISHED_RUNS)
            close.append(abs(cell.points) <= ALLOWED * error)
    if not close:
        return []
    within = f"{sum(close)} of {len(close)} means are within {ALLOWED:g} standard errors of their difference"
    return [
        "that asks whether the paper's mean could be a run of ours; its caption says that it averages "
        f"{_PUBLISHED_RUNS} runs: if its runs spread as ours do, {within}"
    ]


def _distance(cells: Comparisons) -> list[str]:
    """The distance by which the search compares its combinations."""
    off = [cell.points for cell in cells.values() if cell.points is not None]
    return [f"root mean square difference over {len(off)} cells: {root_mean_square(off):.1f} points"] if off else []


def _orderings(cells: Comparisons) -> list[str]:
    """Which of the paper's orderings of two methods in a row our means share; the baseline is always its lowest."""
    penalties = sorted({penalty for penalty, _ in cells})
    words = []
    for one, other in (("rescaling", "baseline"), ("lw", "baseline"), ("lw", "rescaling")):
        shared, not_shared = 0, []
        for penalty in penalties:
            ours, published = _gap(cells, penalty, one, other)
            if ours is None or published is None:
                continue
            if ours * published > 0:
                shared += 1
            else:
                not_shared.append(f"{penalty:g} (ours {ours:+.1f}, the paper's {published:+.1f})")
        known = shared + len(not_shared)
        if known:
            but = f", not at {', '.join(not_shared)}" if not_shared else ""
            words.append(f"{_LABELS[one]} against {_LABELS[other]}: {shared} of {known} rows{but}")
    return [f"same order of the means as in the paper: {'; '.join(words)}"] if words else []


def _gap(cells: Comparisons, penalty: float, one: str, other: str) -> tuple[float | None, float | None]:
    """How far the first method is above the second in a row, in points: ours and the paper's."""
    above, below = cells[penalty, one], cells[penalty, other]
    if above.ours is None or below.ours is None or above.published is None or below.published is None:
        return None, None
    return above.ours.mean - below.ours.mean, above.published - below.published


def _searched(found: Sequence[Combination]) -> list[str]:
    """What was searched and how near the best came."""
    if not found:
        return [_HOW_CHOSEN]
    best, at_256 = found[0], next((one for one in found if one.examples == 256), None)
    nearest = f"{best.distance:.1f} points ({best.words})"
    compared = "on seeds 0 to 2, by which they were compared, the best distance is"
    words = [f"searched: {len(found)} combinations of {_axes(found)}; {compared} {nearest}"]
    if at_256 is not None and at_256 is not best:
        words.append(f"the best with Section 1.1's 256 examples is {at_256.distance:.1f} points ({at_256.words})")
    return words


def _axes(found: Sequence[Combination]) -> str:
    def values(name: str) -> str:
        distinct = sorted({getattr(one, name) for one in found})
        return "; ".join(f"{value:g}" if isinstance(value, (int, float)) else value for value in distinct)

    return (
        f"optimizer ({values('optimizer')}; its state {values('between')}), learning rate ({values('lr')}), "
        f"hidden layers ({values('hidden')}), initializer ({values('start')}), steps in all ({values('steps')}), "
        f"examples a step ({values('batch')}), training examples ({values('examples')}), "
        f"the penalty's form ({values('form')}), LW with and without lambda layers"
    )
