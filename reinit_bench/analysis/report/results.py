"""Two long tables: every setting with every method, and every run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from reinit_bench.analysis import paper
from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.lines import labels
from reinit_bench.analysis.report.page import Grid
from reinit_bench.analysis.report.sheets import condition_words

_SETTING = ("shown", "model", "label", "condition", "initializer")
_RESULTS: Sequence[tuple[str, str | int]] = (
    ("Dataset", "text"),
    ("Model", "text"),
    ("Settings", "text"),
    ("Condition", "text"),
    ("Initializer", "text"),
    ("Method", "text"),
    ("n", 0),
    ("Mean [%]", 1),
    ("SD", 1),
    ("Published", 1),
    ("Difference", 1),
)
_RUNS: Sequence[tuple[str, str | int]] = (
    ("Run", "text"),
    ("Dataset", "text"),
    ("Model", "text"),
    ("Settings", "text"),
    ("Condition", "text"),
    ("Initializer", "text"),
    ("Method", "text"),
    ("Seed", 0),
    ("Test [%]", 1),
    ("Steps", 0),
    ("Seconds", 0),
    ("Attempts", 0),
    ("Device", "text"),
    ("Commit", "text"),
    ("Title", "text"),
)


def described(collection: Collection) -> pd.DataFrame:
    """The runs in the paper's order with what the page calls them.

    `shown` is the dataset's label, with the number of training examples where that was cut; `condition` is the
    augmentation and the dropout; `label` has the settings that tell a run from others of its dataset, model, condition
    and initializer, empty where none does.
    """
    runs = collection.frame.assign(shown="", condition="", label="")
    if runs.empty:
        return runs
    runs["examples"] = runs["train_examples"].astype(float).fillna(0).astype(int)
    pairs = zip(runs["dataset_label"], runs["examples"], strict=True)
    runs["shown"] = [f"{label} ({cut})" if cut else label for label, cut in pairs]
    conditions = zip(runs["augmentation"], runs["dropout_rate"].fillna(0.0), strict=True)
    runs["condition"] = [condition_words(augmentation, rate) for augmentation, rate in conditions]
    for _, rows in runs.groupby(["condition", "initializer"], dropna=False):
        brackets = [label.partition(" [")[2].removesuffix("]") for label in labels(rows, collection.settings)]
        runs.loc[rows.index, "label"] = brackets
    order = ["dataset_label", "examples", "model", "condition", "initializer", "label", "method", "seed"]
    return runs.sort_values(order, key=_paper_order, kind="stable")


def results_grid(runs: pd.DataFrame) -> Grid:
    """One row per setting and method; `runs` as `described` gives them."""
    return Grid(columns=_RESULTS, rows=tuple(_results(runs)))


def runs_grid(runs: pd.DataFrame) -> Grid:
    """One row per run; `runs` as `described` gives them."""
    printed = runs.assign(
        accuracy=(100 * runs["test_accuracy"].astype(float)).round(4),
        seconds=runs["wall_seconds"].astype(float).round(1),
        commit=runs["git_commit"].astype(object).map(lambda commit: str(commit)[:10], na_action="ignore"),
    )
    names = [
        "run_id",
        *_SETTING,
        "method_label",
        "seed",
        "accuracy",
        "steps",
        "seconds",
        "attempts",
        "device",
        "commit",
    ]
    rows = printed[[*names, "title"]].itertuples(index=False, name=None)
    return Grid(columns=_RUNS, rows=tuple(tuple(map(_plain, row)) for row in rows))


def choices(runs: pd.DataFrame) -> Mapping[str, Sequence[str]]:
    """What the filters offer."""
    named = {"dataset": "shown", "model": "model", "condition": "condition"}
    return {name: [str(value) for value in dict.fromkeys(runs[column])] for name, column in named.items()}


def _results(runs: pd.DataFrame) -> Iterator[Sequence[Any]]:
    if runs.empty:
        return
    keys = [*_SETTING, "dataset_label", "examples", "augmentation", "dropout_rate", "method", "method_label"]
    groups = runs.groupby(keys, sort=False, dropna=False)["test_accuracy"].agg(["size", "mean", "std"])
    for key, (n, mean, std) in zip(groups.index, groups.to_numpy(), strict=True):
        of = dict(zip(keys, key, strict=True))
        published = _published(of)
        accuracy = 100 * float(mean)
        spread = None if pd.isna(std) else round(100 * float(std), 4)
        difference = None if published is None else round(accuracy - published, 4)
        names = [_plain(of[name]) for name in (*_SETTING, "method_label")]
        yield [*names, int(n), round(accuracy, 4), spread, published, difference]


def _published(of: Mapping[str, Any]) -> float | None:
    """The paper's value for the same dataset, model, condition and method; it printed one initializer only."""
    for number, one in paper.CONDITIONS.items():
        same = (of["augmentation"], of["dropout_rate"], of["initializer"])
        if same == (one.augmentation, one.dropout_rate, one.initializer) and not of["examples"]:
            return paper.published_accuracy(number).get((of["dataset_label"], of["model"], of["method"]))
    return None


def _paper_order(column: pd.Series) -> pd.Series:
    """Sorts the paper's names as it has them, before all others."""
    order = {"dataset_label": paper.DATASETS, "model": paper.MODELS, "method": tuple(paper.LETTERS)}
    if column.name not in order:
        return column
    known = order[str(column.name)]
    return column.map(lambda name: (known.index(name) if name in known else len(known), str(name)))


def _plain(value: Any) -> Any:
    """A value fit for JSON."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return None
    return value.item() if hasattr(value, "item") else value
