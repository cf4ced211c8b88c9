"""From a collection to everything that the page says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from reinit_bench.analysis.figures.style import BLUE, GRAY, ORANGE
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.report.curves import curves
from reinit_bench.analysis.report.long_tables import described, filters, results_table, runs_table
from reinit_bench.analysis.report.page import Code, Page, Picture, Progress, Trouble
from reinit_bench.analysis.report.pictures import pictures
from reinit_bench.analysis.report.verdict import verdict
from reinit_bench.analysis.stats.arms import tuned_runs
from reinit_bench.analysis.stats.claims import claims
from reinit_bench.analysis.tables import build_tables, table_verdict
from reinit_bench.store.store import Store


def build_page(
    collection: Collection,
    *,
    studies: Sequence[Progress] = (),
    troubles: Sequence[Trouble] = (),
    draw: Callable[[Collection], Sequence[Picture]] = pictures,
) -> Page:
    """The page of what a results folder holds.

    Args:
        studies: how much of each known study is there.
        troubles: the runs that have begun and not finished.
        draw: makes the figures, which take most of the time.
    """
    runs = described(collection)
    tuned = build_tables(collection, list(table_verdict.BY_NAME))
    has_tuned = bool(tuned["verdict"].rows)
    return Page(
        results_dir=str(collection.path),
        runs=len(runs),
        verdict=verdict(collection),
        claims=claims(tuned_runs(collection)) if has_tuned else (),
        tuned=tuned if has_tuned else {},
        filters=filters(runs),
        tables=build_tables(collection),
        results=results_table(runs),
        each_run=runs_table(runs),
        curves=curves(Store(collection.results_dir), runs["run_id"]),
        pictures=draw(collection),
        studies=studies,
        troubles=troubles,
        corrupt=collection.corrupt,
        code=_code(runs),
        looks={"lw": ORANGE, "train": GRAY, "validation": BLUE},
    )


def _code(runs: pd.DataFrame) -> tuple[Code, ...]:
    """Runs by what made them, the most first."""
    if runs.empty:
        return ()
    keys = ["software", "git_commit", "device"]
    groups = runs.fillna(dict.fromkeys(keys, "unknown")).groupby(keys)["wall_seconds"].agg(["size", "sum"])
    found = [
        Code(software=software, commit=str(commit)[:10], device=device, runs=int(count), hours=float(seconds) / 3600)
        for (software, commit, device), (count, seconds) in zip(groups.index, groups.to_numpy(), strict=True)
    ]
    return tuple(sorted(found, key=lambda code: -code.runs))
