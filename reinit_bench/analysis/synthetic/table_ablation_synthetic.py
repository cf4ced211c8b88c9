"""Appendix F on the data of Section 1.1: LW without each of its parts and with freezing, and the baseline.

The baseline trains for as many steps as LW in all: it is the training-longer control.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from reinit_bench.analysis.frame import notes
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import VARIANTS
from reinit_bench.analysis.stats.summary import Summary
from reinit_bench.analysis.synthetic.comparison import synthetic_runs
from reinit_bench.analysis.tables.table import Cell, Row, Table, most_runs, score_cells

_LEGEND = (
    "BL trains for as many steps in all as LW; −: LW without reinitialization, rescaling or its lambda layers; "
    "+freeze: blocks 1 to k stay as they are after round 1; test accuracy [%], mean ± standard deviation over n seeds"
)
_BESIDE_LW = "beside LW: the mean difference from LW with the same seed, ± its standard error"
_START = "no finished run of it; start with: reinit-bench -m study=ablation_synthetic"
_FIELDS = ("alpha", "variant", "n", "steps", "mean", "std", "train", "beside_lw", "standard_error")


@dataclass(frozen=True)
class _Score:
    """One variant at one strength of the signal, in percent; `difference` from LW by seed and its standard `error`."""

    summary: Summary
    steps: int
    train: float
    difference: float
    error: float


def synthetic_ablation_table(collection: Collection) -> Table:
    """The table from the runs of `study=ablation_synthetic`."""
    runs = synthetic_runs(collection.frame)
    runs = runs[runs["method"].isin(["bl", "lw"])]
    runs = runs[runs["variant"].isin(list(VARIANTS))]
    # Table 1 has BL and LW at other strengths of the signal, where nothing is taken away.
    alphas = sorted(set(runs[~runs["variant"].isin(["bl", "lw"])]["dataset.alpha"])) if len(runs) else []
    found = {alpha: _scores(runs[runs["dataset.alpha"] == alpha]) for alpha in alphas}
    return Table(
        name="ablation_synthetic",
        caption="Appendix F on the synthetic data of Section 1.1: test accuracy [%] of LW without each of its parts",
        headings=("Alpha", "Source", "n"),
        columns=tuple(VARIANTS.values()),
        rows=tuple(_rows(found)),
        best="the best of its row as printed",
        notes=(_LEGEND, _BESIDE_LW, *notes.mixed_code(runs)) if found else (_START,),
        data=pd.DataFrame(list(_data(found)), columns=_FIELDS),
    )


TABLES = {"ablation_synthetic": synthetic_ablation_table}


def _scores(runs: pd.DataFrame) -> dict[str, _Score]:
    """Every variant that has runs, by name."""
    by_seed = runs.pivot_table(index="seed", columns="variant", values="test_accuracy") * 100
    found = {}
    for name, group in runs.groupby("variant"):
        accuracy = by_seed[name].dropna()
        difference = (by_seed[name] - by_seed["lw"]).dropna() if "lw" in by_seed else accuracy.iloc[:0]
        found[str(name)] = _Score(
            summary=Summary.of(accuracy),
            steps=int(group["steps"].max()),
            train=100 * float(group["train_accuracy"].mean()),
            difference=float(difference.mean()),
            error=float(difference.std()) / math.sqrt(len(difference)) if len(difference) else math.nan,
        )
    return found


def _rows(found: Mapping[float, Mapping[str, _Score]]) -> Iterator[Row]:
    for alpha, scores in found.items():
        ordered = [scores.get(name) for name in VARIANTS]
        ours = [None if one is None else one.summary for one in ordered]
        yield Row((f"{alpha:g}", "ours", str(most_runs(ours))), score_cells(ours, best=all(ours)))
        yield Row((f"{alpha:g}", "beside LW", ""), tuple(map(_difference_cell, VARIANTS, ordered)))


def _difference_cell(name: str, score: _Score | None) -> Cell:
    if name == "lw":
        return Cell("")
    if score is None or math.isnan(score.error):
        return Cell()
    return Cell(f"{score.difference:+.1f}", f"{score.error:.1f}")


def _data(found: Mapping[float, Mapping[str, _Score]]) -> Iterator[tuple[object, ...]]:
    for alpha, scores in found.items():
        for name in VARIANTS:
            if name in scores:
                one = scores[name]
                n, mean, std = one.summary.for_csv
                rest = [round(value, 4) for value in (one.train, one.difference, one.error)]
                yield alpha, name, n, one.steps, mean, std, *rest
