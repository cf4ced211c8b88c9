"""Appendix F on the data of Section 1.1: LW without each of its parts and with freezing, beside the baseline.

The baseline trains for as many steps as LW in all: it is the training-longer control.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reinit_bench.analysis import notes
from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.layout import Cell, Row, Table
from reinit_bench.analysis.outcomes import SWITCHES
from reinit_bench.analysis.synthetic import SETTINGS, cell, marked, selected
from reinit_bench.analysis.table_ablation import VARIANTS

_LEGEND = (
    "BL trains for as many steps in all as LW; −: LW without reinitialization, rescaling or its lambda layers; "
    "+freeze: blocks 1 to k stay as they are after round 1; test accuracy [%], mean ± standard deviation over n seeds"
)
_BESIDE = "beside LW: the mean difference from LW with the same seed, ± its standard error"
_FIELDS = ("alpha", "variant", "n", "steps", "mean", "std", "train", "beside_lw", "standard_error")


@dataclass(frozen=True)
class _Outcome:
    """One variant at one strength of the signal; accuracies in percent, `beside` and `error` against LW, by seed."""

    n: int
    steps: int
    mean: float
    std: float
    train: float
    beside: float
    error: float


def ablation_synthetic(collection: Collection) -> Table:
    """The table from the runs of `study=ablation_synthetic`."""
    shared = {name: value for name, value in SETTINGS.items() if name not in SWITCHES}
    runs = selected(collection.frame, shared)
    runs = runs[runs["method"].isin(["bl", "lw"])]
    variants = pd.Series([_variant(run) for run in runs.to_dict("records")], index=runs.index, dtype=object)
    runs = runs.assign(variant=variants)[variants.isin(list(VARIANTS))]
    # Table 1 has BL and LW at other strengths of the signal, where nothing is taken away.
    alphas = sorted(set(runs[~runs["variant"].isin(["bl", "lw"])]["dataset.alpha"])) if len(runs) else []
    found = {alpha: _outcomes(runs[runs["dataset.alpha"] == alpha]) for alpha in alphas}
    start = [] if found else ["no finished run of it; start with: reinit-bench -m study=ablation_synthetic"]
    return Table(
        name="ablation_synthetic",
        caption="Appendix F on the synthetic data of Section 1.1: test accuracy [%] of LW without each of its parts",
        headings=("Alpha", "Source", "n"),
        columns=tuple(VARIANTS.values()),
        rows=tuple(_rows(found)),
        best="the best of its row as printed",
        notes=notes.joined([_LEGEND, _BESIDE] if found else [], start, notes.mixed_code(runs) if found else []),
        data=pd.DataFrame(list(_data(found)), columns=_FIELDS),
    )


TABLES = {"ablation_synthetic": ablation_synthetic}


def _variant(run: Mapping[Hashable, Any]) -> str:
    if run["method"] == "bl":
        return "bl"
    other = [name for name in SWITCHES if name in run and not pd.isna(run[name]) and run[name] != SETTINGS[name]]
    return " ".join(["lw", *(name.removeprefix("method.") for name in other)])


def _outcomes(runs: pd.DataFrame) -> dict[str, _Outcome]:
    """Every variant that has runs, by name."""
    by_seed = runs.pivot(index="seed", columns="variant", values="test_accuracy") * 100
    found = {}
    for name, group in runs.groupby("variant"):
        accuracy = by_seed[name].dropna()
        beside = (by_seed[name] - by_seed["lw"]).dropna() if "lw" in by_seed else accuracy.iloc[:0]
        found[str(name)] = _Outcome(
            n=len(accuracy),
            steps=int(group["steps"].max()),
            mean=float(accuracy.mean()),
            std=float(accuracy.std()),
            train=100 * float(group["train_accuracy"].mean()),
            beside=float(beside.mean()) if len(beside) else math.nan,
            error=float(beside.std()) / math.sqrt(len(beside)) if len(beside) else math.nan,
        )
    return found


def _rows(found: Mapping[float, Mapping[str, _Outcome]]) -> Iterator[Row]:
    for alpha, outcomes in found.items():
        most = max(one.n for one in outcomes.values())
        ordered = [outcomes.get(name) for name in VARIANTS]
        ours = [Cell() if one is None else cell(one.mean, _number(one.std), one.n) for one in ordered]
        yield Row((f"{alpha:g}", "ours", str(most)), marked(ours, most))
        beside = [Cell() if one is None or math.isnan(one.error) else _signed(one) for one in ordered]
        beside[list(VARIANTS).index("lw")] = Cell("")
        yield Row((f"{alpha:g}", "beside LW", ""), tuple(beside))


def _signed(one: _Outcome) -> Cell:
    return Cell(f"{one.beside:+.1f}", f"{one.error:.1f}")


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _data(found: Mapping[float, Mapping[str, _Outcome]]) -> Iterator[tuple[object, ...]]:
    for alpha, outcomes in found.items():
        for name in VARIANTS:
            if name in outcomes:
                one = outcomes[name]
                rounded = [round(value, 4) for value in (one.mean, one.std, one.train, one.beside, one.error)]
                yield alpha, name, one.n, one.steps, *rounded
