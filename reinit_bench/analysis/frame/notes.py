"""The sentences under a table: what was left out, and what a reader must know before comparing.

None names the results folder: the same runs make the same table, wherever they are.
"""

from __future__ import annotations

from collections import Counter

import pandas as pd

from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import plural, typed
from reinit_bench.analysis.frame.methods import PAPERS
from reinit_bench.analysis.frame.settings import PAPER, REPEATS, is_method_setting, setting_name

START = "reinit-bench -m study=demo"
"""What a user with an empty store is told to type."""

START_SETTINGS = "reinit-bench -m study=table3, or study=digits"
"""What makes the settings from which the conclusions are drawn."""


def no_runs(collection: Collection, where: str) -> list[str]:
    """Why a table has no row: the store is empty, or none of its runs is of this table's kind (`where`)."""
    finished = len(collection.frame)
    if not finished:
        return [f"no finished runs; start with: {START}"]
    return [f"no finished run {where}; {plural(finished, 'run')} finished under other conditions"]


def no_settings(which: str) -> str:
    """Why a table of settings has no row; `which` says what a setting would need."""
    return f"no setting {which}; start with: {START_SETTINGS}"


def settings_unlike_paper(runs: pd.DataFrame) -> list[str]:
    """Which settings of these runs are not the paper's, and in how many runs where not in all."""
    found = []
    in_paper = runs["method"].isin(PAPERS)
    for column, value in PAPER.items():
        if column not in runs:
            continue
        # Another method's setting may have the same name; what the paper says is of its own methods.
        given = runs[column][in_paper if is_method_setting(column) and column != REPEATS else slice(None)].dropna()
        other = given[given != value]
        if other.empty:
            continue
        # A user's own method may give the same name to another kind of value: text sorts after numbers.
        ordered = sorted(other.unique(), key=lambda item: (isinstance(item, str), item))
        values = ", ".join(map(typed, ordered))
        share = "" if len(other) == len(given) else f" in {len(other)} of {plural(len(given), 'run')}"
        found.append(f"{setting_name(column)} {values} (paper {typed(value)}){share}")
    return [f"not the paper's settings: {', '.join(found)}"] if found else []


def left_out(collection: Collection) -> list[str]:
    """What the store holds that no table can show, under whatever condition."""
    found = []
    if collection.unfinished:
        found.append(f"left out: {plural(collection.unfinished, 'run')} not finished (reinit-bench status says why)")
    if len(collection.trials):
        found.append(f"left out: {plural(len(collection.trials), 'trial')}, with which tuned studies chose settings")
    return found + [f"left out: {line}" for line in collection.corrupt]


def mixed_code(runs: pd.DataFrame) -> list[str]:
    """Whether these runs were made by different versions or commits of the code."""
    codes = Counter(_code(version, commit) for version, commit in zip(runs["version"], runs["git_commit"], strict=True))
    if len(codes) < 2:
        return []
    counts = "; ".join(f"{code}: {plural(count, 'run')}" for code, count in sorted(codes.items()))
    return [f"runs of different code are mixed ({counts})"]


def _code(version: object, commit: object) -> str:
    release = f"reinit-bench {version}" if isinstance(version, str) else "version unknown"
    return f"{release} commit {commit[:10]}" if isinstance(commit, str) else f"{release} commit unknown"
