"""Table 4 (Appendix A): the synthetic data at alpha 0.5, by L2 penalty, our runs next to the paper's values.

`results/synthetic/search.py` is the search for what Appendix A leaves out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame import notes, paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.settings import as_dicts, is_method_setting, without_difference
from reinit_bench.analysis.synthetic.comparison import (
    ALLOWED,
    SETTINGS,
    agreement,
    compared,
    rounded,
    scores,
    synthetic_runs,
    table_rows,
)
from reinit_bench.analysis.tables.table import Table

KINDS = ("baseline", "rescaling", "lw")
"""Table 4's columns; with its lambda layers the third is called `lw, lambda layers`."""

SEARCH_SEEDS = frozenset(range(3))
"""The seeds of `study=table4_search`, by which a combination is chosen; runs of all other seeds judge it."""

_FREE = (
    *("trainer.optimizer", "trainer.optimizer_between_rounds", "trainer.lr", "trainer.momentum", "trainer.batch_size"),
    *("trainer.weight_decay", "trainer.max_steps", "model.hidden", "train_examples", "initializer"),
)
"""Settings of Table 1 that Table 4's runs need not share, besides the methods' own."""

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
_HOW_CHOSEN = "how its number of steps and learning rate were chosen: reinit-bench -m study=table4_search"
_LABELS = {"baseline": "Baseline", "rescaling": "Rescaling", "lw": "LW"}


def penalty_table(collection: Collection) -> Table:
    """Table 4 from the runs of `study=table4`; seeds by which its settings were chosen do not count."""
    runs = without_difference(with_kinds(collection.frame), CHOSEN)
    runs = runs[~runs["seed"].isin(SEARCH_SEEDS)]
    ours = scores(runs[runs["kind"].isin(KINDS)], "trainer.weight_decay", "kind")
    published = paper.published(4).assign(published=lambda cells: (100 * cells["accuracy"]).round(1))
    cells = compared(ours, published.drop(columns="accuracy"))
    return Table(
        name="table4",
        caption="Table 4: test accuracy [%] on the synthetic data of Section 1.1 at alpha 0.5, by L2 penalty",
        headings=("L2 penalty", "Source", "n"),
        columns=tuple(_LABELS[kind] for kind in KINDS),
        rows=tuple(table_rows(cells)),
        best="the best of its row as printed",
        notes=(
            _LEGEND,
            agreement(cells, _MEASURE),
            *_strictness(cells),
            *_distance(cells),
            *_orderings(cells),
            *([_START] if ours.empty else []),
            _HOW_CHOSEN,
            *notes.mixed_code(runs),
        ),
        data=rounded(cells),
    )


TABLES = {4: penalty_table}


def with_kinds(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs at alpha 0.5 that are of one of Table 4's kinds.

    Added columns: `kind`, and `start`, the initializer with what is not at its default. The optimizer is filled in
    where a run has none because it is the default.
    """
    shared = {name: value for name, value in SETTINGS.items() if name not in _FREE and not is_method_setting(name)}
    runs = synthetic_runs(frame, {**shared, "dataset.alpha": 0.5})
    runs = runs.assign(**{"trainer.optimizer": _filled(runs, "trainer.optimizer", "sgd")})
    runs["start"] = runs["initializer"].astype(str)
    runs.loc[_filled(runs, "initializer.truncated", True).eq(False), "start"] += ", truncated=false"
    runs["kind"] = pd.Series([_kind(run) for run in as_dicts(runs)], index=runs.index, dtype=object)
    return runs[runs["kind"] != ""]


def _filled(runs: pd.DataFrame, column: str, default: Any) -> pd.Series:
    """A column with its setting's default where a run has none."""
    values = runs.get(column, pd.Series(None, index=runs.index, dtype=object))
    return values.astype(object).where(values.notna(), default)


def _kind(run: Mapping[str, Any]) -> str:
    """One of KINDS, or `lw, lambda layers`; empty for any other run."""
    if run["method"] == "bl":
        return "baseline"
    if run["method"] != "lw" or not run.get("method.rescale"):
        return ""
    schedule, redraws = json.loads(run.get("method.schedule") or "null"), run.get("method.reinitialize")
    normalizes = bool(run.get("method.normalize"))
    layers = len(json.loads(run.get("model.hidden") or "[]")) + 1
    if schedule == [layers] * 5 and not redraws and not normalizes:
        return "rescaling"
    # "Only the top layer in the last round": with three layers that is what is above the second.
    if schedule == [1, 1, 2, 2, min(3, layers - 1)] and redraws:
        return "lw, lambda layers" if normalizes else "lw"
    return ""


def _strictness(cells: pd.DataFrame) -> list[str]:
    """The same of means: how many are within the standard errors that 100 runs a side would have."""
    known = cells[cells["difference"].notna()]
    if known.empty:
        return []
    errors = known["spread"] * (1 / known["n"] + 1 / _PUBLISHED_RUNS) ** 0.5
    close = int((known["points"].abs() <= ALLOWED * errors).sum())
    within = f"{close} of {len(known)} means are within {ALLOWED:g} standard errors of their difference"
    return [
        "that asks whether the paper's mean could be a run of ours; its caption says that it averages "
        f"{_PUBLISHED_RUNS} runs: if its runs spread as ours do, {within}"
    ]


def _distance(cells: pd.DataFrame) -> list[str]:
    """The distance by which the settings were chosen."""
    off = cells["points"].dropna()
    if off.empty:
        return []
    return [f"root mean square difference over {len(off)} cells: {(off**2).mean() ** 0.5:.1f} points"]


def _orderings(cells: pd.DataFrame) -> list[str]:
    """Which of the paper's orderings of two methods in a row our means share; the baseline is always its lowest."""
    means, published = (cells.pivot(index="l2", columns="method", values=name) for name in ("mean", "published"))
    words = []
    for one, other in (("rescaling", "baseline"), ("lw", "baseline"), ("lw", "rescaling")):
        gaps = pd.DataFrame({"ours": means[one] - means[other], "paper": published[one] - published[other]}).dropna()
        unlike = gaps[gaps["ours"] * gaps["paper"] <= 0]
        if len(gaps):
            listed = (
                f"{row.Index:g} (ours {row.ours:+.1f}, the paper's {row.paper:+.1f})" for row in unlike.itertuples()
            )
            but = f", not at {', '.join(listed)}" if len(unlike) else ""
            words.append(f"{_LABELS[one]} against {_LABELS[other]}: {len(gaps) - len(unlike)} of {len(gaps)} rows{but}")
    return [f"same order of the means as in the paper: {'; '.join(words)}"] if words else []
