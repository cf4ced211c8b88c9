"""Does resetting help? Arms tuned alike: gains over BL by arm and setting, sensitivity, choices, ends of rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame import notes
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.stats.arms import SETTING, TunedRuns, round_ends, tuned_runs
from reinit_bench.analysis.stats.claims import claims
from reinit_bench.analysis.stats.mean_ranks import Ranking
from reinit_bench.analysis.stats.paired_gains import (
    ALL_SETTINGS,
    BASELINE,
    ArmGain,
    arm_gains,
    by_setting,
    groups_of_settings,
    pairs,
    ranking,
    sensitivity,
)
from reinit_bench.analysis.stats.summary import Estimate
from reinit_bench.analysis.tables.table import Cell, Row, Table, estimate_cell, mark_best

_START = (
    "no finished run of a tuned study with BL and another method; start with: reinit-bench -m study=verdict_fraction"
)
_HOW = (
    "each arm's learning rate and weight decay are those of the highest validation accuracy among its own trials, of "
    "which every arm has as many; reported are fresh seeds, paired with BL by seed"
)
_SETTING_HEADINGS = ("Dataset", "Network", "Images", "Wrong labels", "Regularized")
_INTERVALS = (
    "gain: mean and half the width of its 95% t-interval; bootstrap: 95% interval, stratified by setting, too narrow "
    "where a setting has few seeds; neither is corrected for being many"
)


def verdict_table(collection: Collection) -> Table:
    """Each arm's gain over BL, over all settings and over those alike in labels and regularization."""
    runs = tuned_runs(collection)
    gained = pairs(runs)
    found = list(_groups(runs, gained))
    ranked = ranking(runs, _in_every_setting(runs))
    return Table(
        name="verdict",
        caption="Gain over BL in test accuracy [points] of arms tuned alike",
        headings=("Settings", "Arm"),
        columns=("settings", "gain", "bootstrap", "interquartile mean", "P(better)", "p (Holm)", "mean rank"),
        rows=tuple(
            Row((group, runs.methods[method]), tuple(_cells(arm, _rank(ranked, group, method))))
            for group, method, arm in found
        ),
        notes=(
            *([f"{one}" for one in claims(runs)] if found else [_START]),
            *([_HOW, _INTERVALS, _LEGEND] if found else []),
            *([_rank_note(ranked)] if ranked else []),
            *runs.left_out,
            *notes.left_out(collection),
            *notes.mixed_code(collection.frame),
        ),
        data=pd.DataFrame(list(_data(found)), columns=_FIELDS),
    )


def settings_table(collection: Collection) -> Table:
    """Each arm's gain over BL in each setting, with BL's own accuracy."""
    runs = tuned_runs(collection)
    gained = pairs(runs)
    methods = [name for name in runs.methods if name != BASELINE]
    rows, data = [], []
    for setting, part in by_setting(gained):
        gains = arm_gains(part, methods)
        baseline = part.drop_duplicates("seed")["baseline"]
        cells = mark_best([estimate_cell(gains[name].gain if name in gains else None, 1) for name in methods])
        rows.append(Row(_headings(setting), (Cell(f"{baseline.mean():.1f}"), *cells)))
        for name, one in gains.items():
            data.append((*setting.values(), name, round(baseline.mean(), 4), *_numbers(one.gain)))
    return Table(
        name="verdict-settings",
        caption="Gain over BL in test accuracy [points], mean and half the width of its 95% t-interval, by setting",
        headings=_SETTING_HEADINGS,
        columns=("BL [%]", *(runs.methods[name] for name in methods)),
        rows=tuple(rows),
        best="the largest gain of its row",
        notes=(_HOW, *runs.left_out) if rows else (_START,),
        data=pd.DataFrame(
            data, columns=("dataset", "network", "regularized", "noise", "examples", "method", "bl", *_ESTIMATE)
        ),
    )


def sensitivity_table(collection: Collection) -> Table:
    """How far each arm's accuracy spreads over its own trials."""
    runs = tuned_runs(collection)
    return _table_by_setting(
        runs,
        sensitivity(runs),
        lambda row: Cell() if row["missing"] else Cell(f"{row['spread']:.1f}"),
        name="verdict-sensitivity",
        caption="Spread of test accuracy [points] over each arm's trials, from the best to the worst, by setting",
        notes=("one seed a trial; without a number: some trial diverged or has not ended",),
        best="the smallest of its row",
    )


def rounds_table(collection: Collection) -> Table:
    """With what training accuracy each arm's rounds ended."""
    runs = tuned_runs(collection)
    ends = round_ends(collection, runs)
    note = (
        f"of {ends['rounds'].sum()} rounds {ends['converged'].sum()} ended by the rule of trainer.patience_epochs, the "
        "others at trainer.max_steps; accuracy is by the labels that were trained on, wrong ones too"
    )
    return _table_by_setting(
        runs,
        ends,
        lambda row: Cell(f"{row['lowest']:.1f}"),
        name="verdict-rounds",
        caption="The least training accuracy [%] with which any round of an arm ended, by setting",
        notes=(note, *runs.left_out),
    )


def choices_table(collection: Collection) -> Table:
    """What each arm's trials chose."""
    runs = tuned_runs(collection)
    chosen = runs.trials[runs.trials["chosen"].astype(bool)]
    table = _table_by_setting(
        runs,
        chosen,
        lambda row: Cell(str(row["values"])),
        name="verdict-choices",
        caption="The settings that each arm's trials chose by validation accuracy",
    )
    return replace(table, data=runs.trials)


def _table_by_setting(
    runs: TunedRuns,
    data: pd.DataFrame,
    cell: Callable[[Mapping[Any, Any]], Cell],
    *,
    name: str,
    caption: str,
    notes: tuple[str, ...] = (),
    best: str = "",
) -> Table:
    """A row for each setting with the cell of each method's row of `data`; with `best` the smallest is marked."""
    methods = [name for name in runs.methods if name in set(data["method"])]
    rows = []
    for setting, part in by_setting(data):
        own = {row["method"]: cell(row) for row in part.to_dict("records")}
        cells = [own.get(name, Cell()) for name in methods]
        rows.append(Row(_headings(setting), mark_best(cells, min) if best else tuple(cells)))
    return Table(
        name=name,
        caption=caption,
        headings=_SETTING_HEADINGS,
        columns=tuple(runs.methods[method] for method in methods),
        rows=tuple(rows),
        best=best,
        notes=notes if rows else (_START,),
        data=data,
    )


BY_NAME = {
    "verdict": verdict_table,
    "verdict-settings": settings_table,
    "verdict-sensitivity": sensitivity_table,
    "verdict-choices": choices_table,
    "verdict-rounds": rounds_table,
}

_LEGEND = (
    "interquartile mean: of all pairs' gains; P(better): the probability that a run of the arm is better than one of BL"
    "; p: permutation test over pairs, Holm's correction over the arms of a block"
)
_ESTIMATE = ("gain", "low", "high", "n")
_FIELDS = (
    *("group", "method", "settings", *_ESTIMATE, "bootstrap_low", "bootstrap_high"),
    *("interquartile_mean", "improvement", "p", "p_holm"),
)


def _groups(runs: TunedRuns, gained: pd.DataFrame) -> Iterator[tuple[str, str, ArmGain]]:
    methods = [name for name in runs.methods if name != BASELINE]
    for group, rows in groups_of_settings(gained):
        for name, one in arm_gains(rows, methods).items():
            yield group, name, one


def _in_every_setting(runs: TunedRuns) -> list[str]:
    """The arms that have runs in every setting, whose ranks can be compared."""
    counts = runs.reported.drop_duplicates([*SETTING, "method"])["method"].value_counts()
    return [name for name in runs.methods if counts.get(name) == counts.max()]


def _rank(ranked: Ranking | None, group: str, method: str) -> str:
    if ranked is None or group != ALL_SETTINGS or method not in ranked.mean_ranks:
        return ""
    return f"{ranked.mean_ranks[method]:.2f}"


def _rank_note(ranked: Ranking) -> str:
    return (
        f"mean ranks of the {len(ranked.mean_ranks)} arms with runs in all {ranked.n} settings, BL "
        f"{ranked.mean_ranks.get(BASELINE, float('nan')):.2f}; two that are {ranked.critical_difference:.2f} apart "
        "differ at 95% (Nemenyi)"
    )


def _cells(arm: ArmGain, mean_rank: str) -> Iterator[Cell]:
    yield Cell(str(arm.settings))
    yield estimate_cell(arm.gain, 2)
    yield Cell("" if arm.bootstrap is None else "{:+.2f} to {:+.2f}".format(*arm.bootstrap))
    yield Cell(f"{arm.interquartile_mean:+.2f}")
    yield Cell(f"{arm.improvement:.2f}")
    yield Cell(f"{arm.p_holm:.3f}")
    yield Cell(mean_rank)


def _headings(setting: Mapping[str, Any]) -> tuple[str, ...]:
    images = "" if pd.isna(setting["examples"]) else f"{setting['examples']:,.0f}"
    regularized = "yes" if setting["regularized"] else "no"
    return str(setting["dataset"]), str(setting["network"]), images, f"{setting['noise']:.0%}", regularized


def _numbers(one: Estimate) -> tuple[float | int | None, ...]:
    limits = [None if limit is None else round(limit, 4) for limit in (one.low, one.high)]
    return round(one.value, 4), *limits, one.n


def _data(found: Sequence[tuple[str, str, ArmGain]]) -> Iterator[tuple[object, ...]]:
    for group, method, arm in found:
        bootstrap = arm.bootstrap or (None, None)
        rest = *bootstrap, arm.interquartile_mean, arm.improvement, arm.p, arm.p_holm
        numbers = (None if number is None else round(number, 4) for number in rest)
        yield group, method, arm.settings, *_numbers(arm.gain), *numbers
