"""LW and its ablations (Appendix F): what a run is called by the parts of LW that are switched off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reinit_bench.analysis.runs.collect import records
from reinit_bench.analysis.runs.distance import PAPER, different

SWITCHES: Mapping[str, bool] = {
    name: PAPER[name] for name in ("method.rescale", "method.normalize", "method.reinitialize", "method.freeze")
}
"""The switches of LW at their defaults; a run with another value of one of them is an ablation rather than LW."""

VARIANTS: Mapping[str, str] = {
    "bl": "BL",
    "lw": "LW",
    "lw reinitialize": "−reinit",
    "lw rescale": "−rescale",
    "lw normalize": "−norm",
    "lw freeze": "+freeze",
}
"""Appendix F's variants with their headings; LW is followed by the switches that are not at their defaults."""


def variants(runs: pd.DataFrame) -> pd.Series:
    """The variant of each row: `lw freeze` for LW with freezing, the method's name where no switch is changed."""
    known = runs[["method", *(name for name in SWITCHES if name in runs)]]
    return pd.Series([_variant(run) for run in records(known)], index=runs.index, dtype=object)


def variant_label(name: str) -> str:
    """A variant's heading; one of several switches has the headings of all."""
    return VARIANTS.get(name) or " ".join(VARIANTS[f"lw {switch}"] for switch in name.split()[1:])


def _variant(run: Mapping[str, Any]) -> str:
    return " ".join([run["method"], *(name.removeprefix("method.") for name in different(run, SWITCHES))])
