"""Two long tables that the browser fills page by page: every setting with every method, and every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import distinguishing_settings
from reinit_bench.analysis.frame.methods import method_order
from reinit_bench.analysis.stats.summary import summaries
from reinit_bench.analysis.tables.table import Table

_SETTING = {
    "shown": "Dataset",
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
_ORDER: Mapping[str, Callable[[str], Any]] = {
    "dataset_label": partial(paper.order_key, order=paper.DATASETS),
    "model": partial(paper.order_key, order=paper.MODELS),
    "method": method_order,
}
"""Columns that have an order of their own, the paper's first."""


def described(collection: Collection) -> pd.DataFrame:
    """The runs in the paper's order with what the page calls them.

    `shown` is the dataset's label, with the number of training examples where that was cut; `condition` is the
    augmentation and the dropout; `label` has the settings that tell a run from others of its dataset, model, condition
    and initializer, empty where none does.
    """
    runs = collection.frame.assign(shown=collection.frame["dataset_shown"], label="")
    if runs.empty:
        return runs
    runs["examples"] = runs["train_examples"].astype(float).fillna(0).astype(int)
    for _, rows in runs.groupby(["condition", "initializer"], dropna=False):
        runs.loc[rows.index, "label"] = distinguishing_settings(rows, collection.settings)
    order = ["dataset_label", "examples", "model", "condition", "initializer", "label", "method", "seed"]
    return runs.sort_values(order, key=_paper_order, kind="stable")


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
    named = {"dataset": "shown", "model": "model", "condition": "condition"}
    return {name: [str(value) for value in dict.fromkeys(runs[column])] for name, column in named.items()}


def _results(runs: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    names = [*_SETTING, "dataset_label", "examples", "augmentation", "dropout_rate", "method"]
    for key, score in summaries(runs, names).items():
        published = _published(dict(zip(names, key, strict=True)))
        difference = None if published is None else round(score.mean - published, 4)
        yield *key[: len(_SETTING)], *score.for_csv, published, difference


def _published(setting: Mapping[str, Any]) -> float | None:
    """The paper's value for the same dataset, model, condition and method; it printed one initializer only."""
    for number, condition in paper.CONDITIONS.items():
        if not setting["examples"] and all(setting[name] == value for name, value in condition.settings.items()):
            cell = setting["dataset_label"], setting["model"], setting["method"]
            return paper.published_accuracy(number).get(cell)
    return None


def _paper_order(column: pd.Series) -> pd.Series:
    """The sort key of a column."""
    order = _ORDER.get(str(column.name))
    return column if order is None else column.map(lambda name: order(str(name)))
