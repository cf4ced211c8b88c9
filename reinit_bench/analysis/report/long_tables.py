"""Two long tables that the browser fills page by page: every setting with every method, and every run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import distinguishing_settings
from reinit_bench.analysis.frame.methods import method_order
from reinit_bench.analysis.stats.summary import summaries
from reinit_bench.analysis.tables.table import Table

_SETTING = {
    "dataset_shown": "Dataset",
    "model": "Model",
    "label": "Settings",
    "condition": "Condition",
    "initializer": "Initializer",
    "method_label": "Method",
}
"""Columns of `described` that both tables show, with their headings."""

_RUN = {
    "run_id": "Run",
    **_SETTING,
    "seed": "Seed",
    "accuracy": "Test [%]",
    "steps": "Steps",
    "seconds": "Seconds",
    "attempts": "Attempts",
    "device": "Device",
    "commit": "Commit",
    "title": "Title",
}


def described(collection: Collection) -> pd.DataFrame:
    """The runs in the paper's order.

    In a column `label` are the settings that tell a run from others of its dataset, model, condition and initializer,
    empty where none does.
    """
    runs = collection.frame.assign(label="")
    for _, rows in runs.groupby(["condition", "initializer"], dropna=False):
        runs.loc[rows.index, "label"] = distinguishing_settings(rows, collection.settings)
    runs["method_order"] = list(map(method_order, runs["method"]))
    order = ["order", "condition", "initializer", "label", "method_order", "seed"]
    return runs.sort_values(order, kind="stable")


def results_table(runs: pd.DataFrame) -> Table:
    """One row per setting and method; `runs` as `described` gives them."""
    decimals = {"n": 0, "Mean [%]": 1, "SD": 1, "Published": 1, "Difference": 1}
    data = pd.DataFrame(list(_results(runs)), columns=[*_SETTING.values(), *decimals], dtype=object)
    return Table(name="results", caption="Every setting with every method", data=data, decimals=decimals)


def runs_table(runs: pd.DataFrame) -> Table:
    """One row per run; `runs` as `described` gives them."""
    printed = runs.assign(
        accuracy=(100 * runs["test_accuracy"].astype(float)).round(4),
        seconds=runs["wall_seconds"].astype(float).round(1),
        commit=runs["git_commit"].astype(object).map(lambda commit: str(commit)[:10], na_action="ignore"),
    )
    decimals = {"Seed": 0, "Test [%]": 1, "Steps": 0, "Seconds": 0, "Attempts": 0}
    data = printed[list(_RUN)].rename(columns=_RUN)
    return Table(name="runs", caption="Every finished run", data=data, decimals=decimals)


def filters(runs: pd.DataFrame) -> Mapping[str, Sequence[str]]:
    """What can be chosen in each filter."""
    named = {"dataset": "dataset_shown", "model": "model", "condition": "condition"}
    return {name: [str(value) for value in dict.fromkeys(runs[column])] for name, column in named.items()}


def _results(runs: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    names = [*_SETTING, "dataset_label", "train_examples", "augmentation", "dropout_rate", "method"]
    for key, score in summaries(runs, names).items():
        published = _published(dict(zip(names, key, strict=True)))
        difference = None if published is None else round(score.mean - published, 4)
        yield *key[: len(_SETTING)], *score.for_csv, published, difference


def _published(setting: Mapping[str, Any]) -> float | None:
    """The paper's value for the same dataset, model, condition and method; it printed one initializer only."""
    for number, condition in paper.CONDITIONS.items():
        same = all(setting[name] == value for name, value in condition.settings.items())
        if same and pd.isna(setting["train_examples"]):
            cell = setting["dataset_label"], setting["model"], setting["method"]
            return paper.published_accuracy(number).get(cell)
    return None
