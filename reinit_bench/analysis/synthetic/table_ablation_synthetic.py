"""Appendix F on the data of Section 1.1: LW without each of its parts and with freezing, and the baseline.

The baseline trains for as many steps as LW in all: it is the training-longer control.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from reinit_bench.analysis.frame import notes
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import VARIANTS
from reinit_bench.analysis.frame.settings import as_dicts
from reinit_bench.analysis.stats.summary import Summary
from reinit_bench.analysis.synthetic.comparison import summary_of, synthetic_runs
from reinit_bench.analysis.tables.table import Cell, Row, Table, most_runs, score_cells

_LEGEND = (
    "BL trains for as many steps in all as LW; −: LW without reinitialization, rescaling or its lambda layers; "
    "+freeze: blocks 1 to k stay as they are after round 1; test accuracy [%], mean ± standard deviation over n seeds"
)
_BESIDE_LW = "beside LW: the mean difference from LW with the same seed, ± its standard error"
_START = "no finished run of it; start with: reinit-bench -m study=ablation_synthetic"
_FIELDS = ["alpha", "variant", "n", "steps", "mean", "std", "train", "beside_lw", "standard_error"]


def synthetic_ablation_table(collection: Collection) -> Table:
    """The table from the runs of `study=ablation_synthetic`."""
    runs = synthetic_runs(collection.frame)
    runs = runs[runs["method"].isin(["bl", "lw"]) & runs["variant"].isin(list(VARIANTS))]
    # Table 1 has BL and LW at other strengths of the signal, where nothing is taken away.
    alphas = sorted(set(runs[~runs["variant"].isin(["bl", "lw"])]["dataset.alpha"])) if len(runs) else []
    scores = pd.DataFrame([row for alpha in alphas for row in _scores(alpha, runs)], columns=_FIELDS)
    return Table(
        name="ablation_synthetic",
        caption="Appendix F on the synthetic data of Section 1.1: test accuracy [%] of LW without each of its parts",
        headings=("Alpha", "Source", "n"),
        columns=tuple(VARIANTS.values()),
        rows=tuple(row for alpha in alphas for row in _rows(alpha, scores)),
        best="the best of its row as printed",
        notes=(_LEGEND, _BESIDE_LW, *notes.mixed_code(runs)) if alphas else (_START,),
        data=scores.round(4),
    )


TABLES = {"ablation_synthetic": synthetic_ablation_table}


def _scores(alpha: float, runs: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    """The fields of every variant that has runs at one strength of the signal; differences are from LW by seed."""
    runs = runs[runs["dataset.alpha"] == alpha]
    by_seed = runs.pivot_table(index="seed", columns="variant", values="test_accuracy") * 100
    for name in [variant for variant in VARIANTS if variant in by_seed]:
        own, score = runs[runs["variant"] == name], Summary.of(by_seed[name].dropna())
        train = 100 * float(own["train_accuracy"].mean())
        difference = by_seed[name] - by_seed.get("lw", float("nan"))
        yield (
            alpha,
            name,
            score.n,
            own["steps"].max(),
            score.mean,
            score.std,
            train,
            difference.mean(),
            difference.sem(),
        )


def _rows(alpha: float, scores: pd.DataFrame) -> Iterator[Row]:
    found = scores[scores["alpha"] == alpha].set_index("variant").reindex(list(VARIANTS))
    ours = list(map(summary_of, as_dicts(found)))
    yield Row((f"{alpha:g}", "ours", str(most_runs(ours))), score_cells(ours, best=all(ours)))
    beside = [
        Cell("") if name == "lw" else Cell() if pd.isna(error) else Cell(f"{difference:+.1f}", f"{error:.1f}")
        for name, difference, error in zip(found.index, found["beside_lw"], found["standard_error"], strict=True)
    ]
    yield Row((f"{alpha:g}", "beside LW", ""), tuple(beside))
