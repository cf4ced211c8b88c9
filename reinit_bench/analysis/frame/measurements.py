"""What single runs left next to their results, read only when a figure asks: diagnostics and training curves."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.store.checks import HISTORY, ROUNDS
from reinit_bench.store.files import StoreError
from reinit_bench.store.store import RunFolder, Store


@lru_cache(maxsize=10_000)  # it reads the hashes of its files once
def _folder(collection: Collection, run_id: str) -> RunFolder:
    return Store(collection.results_dir).run(run_id)


@lru_cache(maxsize=10_000)  # several figures read the same runs; a file takes a few kilobytes
def diagnostics_of(collection: Collection, run_id: str) -> Mapping[str, Any]:
    """The run's diagnostics, numpy arrays named `<diagnostic>.<name>` as `reinit_bench.diagnostics` writes them.

    Empty where there are none; a file that cannot be read is none, with a warning.
    """
    try:
        return _folder(collection, run_id).diagnostics() or {}
    except StoreError as error:
        warnings.warn(str(error), stacklevel=2)
        return {}


def with_diagnostics(collection: Collection, runs: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The rows of `runs` whose diagnostics hold all these names."""
    held = [set(names) <= diagnostics_of(collection, run_id).keys() for run_id in runs["run_id"]]
    return runs[pd.Series(held, index=runs.index, dtype=bool)]


def history_of(collection: Collection, run_id: str) -> pd.DataFrame:
    """The run's curve: a row per epoch with `round`, `epoch`, `step`, `train_accuracy` and more; empty without one."""
    return _lines_of(collection, run_id, HISTORY, {"round", "epoch", "train_accuracy"})


def rounds_of(collection: Collection, run_id: str) -> pd.DataFrame:
    """A row per round with `index`, `steps`, `train_accuracy`, `test_accuracy` and more; empty without any."""
    return _lines_of(collection, run_id, ROUNDS, {"index", "train_accuracy", "test_accuracy"})


def _lines_of(collection: Collection, run_id: str, name: str, columns: set[str]) -> pd.DataFrame:
    try:
        rows = pd.DataFrame(_folder(collection, run_id).rows(name))
    except StoreError as error:
        warnings.warn(str(error), stacklevel=3)
        return pd.DataFrame()
    # A file without these columns was not written by a run, and is no reason to draw nothing at all.
    return rows if columns <= set(rows) else pd.DataFrame()
