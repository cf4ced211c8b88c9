"""Runs of tuned studies: the trials that chose each arm's settings, and the runs on fresh seeds that are reported.

The choice is made again from the trials, by the rule of `stats.tuning`: nothing but what is in the store decides which
runs are reported. An arm is a method at its defaults; a setting is all that the arms share.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import NORMS, distinguishing_settings, norms_of
from reinit_bench.analysis.frame.measurements import rounds_of
from reinit_bench.analysis.frame.methods import ordered_methods
from reinit_bench.analysis.frame.settings import SHORT_NAMES
from reinit_bench.analysis.frame.tuned_studies import Tuning, tuning_of
from reinit_bench.analysis.stats.tuning import DIVERGED, best

SETTING = ("dataset", "examples", "network", "noise", "regularized")
"""What tells settings apart: dataset, training images, network, share of wrong labels, whether it is regularized."""


@dataclass(frozen=True, kw_only=True)
class TunedRuns:
    """The runs of tuned studies.

    Attributes:
        trials: a row for each setting, method and combination of tuned values: `validation` and `test` accuracy in
            percent, means over the tuning seeds; `values` as typed; whether it is `chosen`.
        reported: a row for each setting, method and seed: `test_accuracy` and the `run_id`.
        methods: names and labels, in the order of `families`.
        left_out: sentences on runs that are no part of this.
    """

    trials: pd.DataFrame
    reported: pd.DataFrame
    methods: Mapping[str, str]
    left_out: tuple[str, ...] = ()


@lru_cache(maxsize=4)  # several tables and figures ask for the same
def tuned_runs(collection: Collection) -> TunedRuns:
    """The runs whose study tunes; those of an arm whose trials have not ended, or have other values, are left out."""
    frame = _with_trials(collection).default_images
    trials, reported, other = pd.DataFrame(columns=_TRIALS), pd.DataFrame(columns=_REPORTED), 0
    parts = [part for studies, tuning in _tunings(frame) for part in _arms(collection, frame, studies, tuning)]
    if parts:
        trials = pd.concat([part for part, _, _ in parts], ignore_index=True)
        reported = pd.concat([part for _, part, _ in parts], ignore_index=True)
        other = sum(count for _, _, count in parts)
    labels = dict(zip(frame["method"], frame["method_label"], strict=True))
    methods = {name: labels[name] for name in ordered_methods(reported["method"])}
    notes = (f"left out: {other} runs whose settings their arm's trials did not choose",) if other else ()
    return TunedRuns(trials=trials, reported=reported, methods=methods, left_out=notes)


_TRIALS = (*SETTING, "method", "values", "validation", "test", "chosen")
_REPORTED = (*SETTING, "method", "seed", "test_accuracy", "run_id")


def round_ends(collection: Collection, runs: TunedRuns) -> pd.DataFrame:
    """How the rounds of the reported runs ended: a row for each setting and method whose runs have their rounds.

    `rounds` is how many there are, `converged` how many ended by the rule of `trainer.patience_epochs`; `lowest` is the
    least training accuracy, in percent, with which one ended, by the labels that it was trained on.
    """
    rows = []
    for values, own in runs.reported.groupby([*SETTING, "method"], sort=False, dropna=False):
        found = [rounds for run_id in own["run_id"] if not (rounds := rounds_of(collection, run_id)).empty]
        if found:
            rounds = pd.concat(found)
            converged = int(rounds["converged"].sum()) if "converged" in rounds else 0
            rows.append((*values, len(rounds), converged, 100 * rounds["train_accuracy"].min()))
    return pd.DataFrame(rows, columns=[*SETTING, "method", "rounds", "converged", "lowest"])


def _with_trials(collection: Collection) -> Collection:
    if collection.trials.empty:
        return collection
    return replace(collection, frame=pd.concat([collection.frame, collection.trials], ignore_index=True))


def _tunings(frame: pd.DataFrame) -> Iterator[tuple[list[str], Tuning]]:
    """The tuned studies, those that tune alike together: one may have begun an arm that the other went on with."""
    found: list[tuple[list[str], Tuning]] = []
    for name in frame["study"].dropna().unique():
        tuning = tuning_of(str(name))
        same = next((studies for studies, other in found if other == tuning), None)
        if same is not None:
            same.append(name)
        elif tuning is not None:
            found.append(([name], tuning))
    yield from found


def _arms(
    collection: Collection, frame: pd.DataFrame, studies: list[str], tuning: Tuning
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame, int]]:
    """Of each arm of these studies: its trials, its reported runs, and how many runs have values that were not chosen.

    A trial may have been run before, without the study: a sweep takes what is there.
    """
    axes = _columns(tuning)
    # Runs that differ in anything shared are different settings, even if no column of SETTING tells.
    shared = [name for name in collection.shared_settings if name not in axes]
    keys = pd.Series(list(frame[[*shared, "method"]].astype(str).itertuples(index=False, name=None)), frame.index)
    own = frame["study"].isin(studies)
    runs = frame[own | (frame["seed"].isin(tuning.seeds) & keys.isin(set(keys[own])))]
    runs = runs.assign(**_setting(runs, shared))
    seeds = sorted(tuning.seeds & set(runs["seed"]))
    for _, arm in runs.groupby(keys[runs.index], sort=False):
        is_trial = arm["seed"].isin(tuning.seeds)
        trials, rest = _trials(arm[is_trial], tuning, seeds), arm[~is_trial]
        chosen = set(trials["values"][trials["chosen"].astype(bool)])
        matching = [_values(run, axes) in chosen for run in rest.to_dict("records")]
        reported = rest[pd.Series(matching, rest.index, dtype=bool)]
        yield trials, reported[list(_REPORTED)], len(rest) - len(reported)


def _trials(arm: pd.DataFrame, tuning: Tuning, seeds: Sequence[int]) -> pd.DataFrame:
    """A row for each combination of values, in the order in which a tie is decided."""
    if arm.empty:
        return pd.DataFrame(columns=_TRIALS)
    axes = _columns(tuning)
    combinations: dict[tuple[int, ...], dict[int, dict[Any, Any]]] = {}
    for run in arm.to_dict("records"):
        place = tuple(_place(run[name], values) for name, values in zip(axes, tuning.axes.values(), strict=True))
        combinations.setdefault(place, {})[run["seed"]] = run
    tried = [by_seed for _, by_seed in sorted(combinations.items(), key=lambda one: one[0])]
    # A trial without a result has diverged: else the sweep would have chosen nothing, and there is nothing to report.
    accuracies = [
        [by_seed[seed]["validation_accuracy"] if seed in by_seed else DIVERGED for seed in seeds] for by_seed in tried
    ]
    chosen = best(list(enumerate(accuracies)))
    return pd.DataFrame(
        {
            **{name: next(iter(by_seed.values()))[name] for name in (*SETTING, "method")},
            "values": _values(next(iter(by_seed.values())), axes),
            "validation": _mean(by_seed, seeds, "validation_accuracy"),
            "test": _mean(by_seed, seeds, "test_accuracy"),
            "chosen": place == chosen,
        }
        for place, by_seed in enumerate(tried)
    )


def _mean(by_seed: Mapping[int, Mapping[Any, Any]], seeds: Sequence[int], accuracy: str) -> float:
    """The mean over trials in percent; NaN where one diverged."""
    found = [by_seed[seed][accuracy] for seed in seeds if seed in by_seed]
    return 100 * sum(found) / len(found) if len(found) == len(seeds) else math.nan


def _columns(tuning: Tuning) -> list[str]:
    return [SHORT_NAMES.get(axis, axis) for axis in tuning.axes]


def _place(value: Any, values: list[Any]) -> int:
    return values.index(value) if value in values else len(values)


def _values(run: Mapping[Any, Any], axes: list[str]) -> str:
    return " ".join(f"{axis.rpartition('.')[2]}={run[axis]:g}" for axis in axes)


def _setting(runs: pd.DataFrame, shared: list[str]) -> dict[str, Any]:
    """The columns of SETTING."""
    noise = runs["dataset.label_noise"] if "dataset.label_noise" in runs else pd.Series(0.0, runs.index)
    suffixes = norms_of(runs).map(NORMS)
    told = ["dataset", "train_examples", "augmentation", "dataset.label_noise", "model", "model.norm"]
    # Schedule and augmentation go together; how many steps a round has goes with the number of blocks.
    settings = [name for name in shared if name not in (*told, "trainer.schedule", "trainer.max_steps")]
    regularized = runs["augmentation"] != "none"
    more: dict[Any, str] = {}
    # Apart, since an augmentation's own fields say no more than that there is one; several are told apart.
    for rows, names in (
        (runs[regularized], ["augmentation", *settings]),
        (runs[~regularized], [name for name in settings if not name.startswith("augmentation.")]),
    ):
        words = distinguishing_settings(rows, names)
        more.update(zip(rows.index, (f" [{one}]" if one else "" for one in words), strict=True))
    return {
        "dataset": runs["dataset_label"],
        "examples": runs["train_examples"],
        "network": runs["model"] + suffixes + pd.Series(more, runs.index, dtype=object),
        "noise": noise.fillna(0.0),
        "regularized": regularized,
    }
