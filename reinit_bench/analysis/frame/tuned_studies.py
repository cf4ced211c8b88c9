"""What tuned studies tune, read from their files: which runs of a store are trials, and of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import yaml

from reinit_bench.core.conf_dir import option_file

_TUNE = "tune"


@dataclass(frozen=True)
class Tuning:
    """The seeds of a study's trials, and the values that may be chosen, in order, by axis as typed."""

    seeds: frozenset[int]
    axes: Mapping[str, list[Any]]


def tuning_of(study: str) -> Tuning | None:
    """What the study's file says; None if there is no such file, or it tunes nothing."""
    path = option_file("study", study)
    content = yaml.safe_load(path.read_text(encoding="utf-8")) if path else None
    if not isinstance(content, dict) or not isinstance(content.get("tuning_seeds"), list):
        return None
    axes: dict[str, list[Any]] = {}
    for grid in content.get("grids") or []:
        for axis, values in grid.items():
            if isinstance(values, Mapping) and _TUNE in values:
                axes[axis] = list(dict.fromkeys([*axes.get(axis, []), *values[_TUNE]]))
    return Tuning(frozenset(content["tuning_seeds"]), axes)


def are_trials(runs: pd.DataFrame) -> pd.Series:
    """For each row, whether it was run to choose settings: its result says so.

    Results from before there was that field go by the seed, if their study's file is found.
    """
    unmarked = runs["trial"].isna()
    found = runs["trial"].where(~unmarked, False).astype(bool)
    for study in runs["study"][unmarked].dropna().unique():
        tuning = tuning_of(str(study))
        if tuning is not None:
            found |= unmarked & (runs["study"] == study) & runs["seed"].isin(tuning.seeds)
    return found
