"""What each arm of a tuned comparison gains over the baseline: pairs by seed, intervals, Holm's correction.

The statistics are those of Agarwal et al. 2021 (stratified bootstrap, interquartile mean, probability of improvement),
the strata being the settings. Beside the bootstrap interval stands a t-interval: with one setting of five pairs the
bootstrap's covers the truth in some 86 of 100 cases rather than 95. All gains are in points of test accuracy.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from reinit_bench.analysis.stats.arms import SETTING, TunedRuns
from reinit_bench.analysis.stats.mean_ranks import Ranking, rank
from reinit_bench.analysis.stats.significance import holm
from reinit_bench.analysis.stats.summary import Estimate, Summary, estimate, paired_differences

BASELINE = "bl"
ALL_SETTINGS = "all settings"
GROUPS: Mapping[str, tuple[bool | None, bool | None]] = {
    ALL_SETTINGS: (None, None),
    "right labels, not regularized": (False, False),
    "right labels, regularized": (False, True),
    "wrong labels, not regularized": (True, False),
    "wrong labels, regularized": (True, True),
}
"""Groups of settings: whether labels are wrong, and whether there is other regularization."""

RESAMPLES = 9_999
SEED = 0
"""Of the resampling: the same runs give the same interval."""


@dataclass(frozen=True, kw_only=True)
class ArmGain:
    """What one arm gains over the baseline, in one or more settings.

    Attributes:
        settings: in how many settings both have runs.
        gain: mean over settings of the mean over pairs.
        bootstrap: the limits of its 95% bootstrap interval, stratified by setting; None where a setting has one pair.
        interquartile_mean: of all pairs' gains.
        improvement: the probability that a run of the arm is better than one of the baseline of the same setting, ties
            counting half; mean over settings.
        p: of a permutation test that flips the signs of pairs' gains.
        p_holm: after Holm's correction over the arms.
    """

    settings: int
    gain: Estimate
    bootstrap: tuple[float, float] | None
    interquartile_mean: float
    improvement: float
    p: float
    p_holm: float = 1.0


def pairs(runs: TunedRuns) -> pd.DataFrame:
    """A row for each setting, method other than the baseline, and seed that both have: `gain`."""
    paired = paired_differences(runs.reported, "method", BASELINE, [*SETTING, "seed"])
    return paired.assign(accuracy=100 * paired["test_accuracy"]).rename(columns={"difference": "gain"})


def arm_gains(paired: pd.DataFrame, methods: Sequence[str]) -> dict[str, ArmGain]:
    """Of each method that has pairs in these settings."""
    found = {}
    for method in methods:
        own = paired[paired["method"] == method]
        if not own.empty:
            found[method] = _arm(own)
    corrected = holm([one.p for one in found.values()])
    return {name: replace(one, p_holm=p) for (name, one), p in zip(found.items(), corrected, strict=True)}


def _arm(own: pd.DataFrame) -> ArmGain:
    from scipy.stats import trim_mean

    strata = [part for _, part in own.groupby(list(SETTING), sort=False)]
    gains = [part["gain"].to_numpy() for part in strata]
    return ArmGain(
        settings=len(strata),
        gain=estimate(list(map(Summary.of, gains))),
        bootstrap=bootstrap_interval(gains),
        interquartile_mean=float(trim_mean(own["gain"], 0.25)),
        # Arm and baseline apart: the probability is of two runs, not of two with one seed.
        improvement=float(
            np.mean([_better(part["accuracy"].to_numpy(), part["baseline"].to_numpy()) for part in strata])
        ),
        p=sign_flip_p(gains),
    )


def bootstrap_interval(strata: Sequence[np.ndarray]) -> tuple[float, float] | None:
    """The 95% percentile interval of the mean over strata of their means, each stratum resampled within itself."""
    from scipy.stats import bootstrap

    if any(len(values) < 2 for values in strata):
        return None

    def statistic(*samples: np.ndarray, axis: int = -1) -> Any:
        return np.mean([sample.mean(axis=axis) for sample in samples], axis=0)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns where all resamples agree: the interval is then a point
        found = bootstrap(
            strata,
            statistic,
            n_resamples=RESAMPLES,
            method="percentile",
            vectorized=True,
            axis=-1,
            rng=np.random.default_rng(SEED),
        ).confidence_interval
    return float(found.low), float(found.high)


def _better(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The share of pairs, one of each, in which ours is better."""
    one, other = ours[:, None], theirs[None, :]
    return float(((one > other) + 0.5 * (one == other)).mean())


def sign_flip_p(strata: Sequence[np.ndarray]) -> float:
    """Two-sided p-value: how often gains of random signs have a mean of means as far from zero."""
    from scipy.stats import permutation_test

    # A pair's weight is its share in the mean of means.
    weighted = np.concatenate([gains / (len(gains) * len(strata)) for gains in strata])
    if len(weighted) < 2 or not weighted.any():
        return 1.0
    return float(
        permutation_test(
            (weighted,),
            lambda sample, axis=-1: sample.sum(axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=RESAMPLES,
            rng=np.random.default_rng(SEED),
        ).pvalue
    )


def ranking(runs: TunedRuns, methods: Sequence[str]) -> Ranking | None:
    """Mean ranks over the settings in which all of these methods have runs; None without two methods and a setting."""
    means = 100 * runs.reported.groupby([*SETTING, "method"], sort=False)["test_accuracy"].mean().unstack("method")
    complete = means.reindex(columns=list(methods)).dropna()
    return None if complete.empty or len(methods) < 2 else rank(complete, "all", "setting")


def sensitivity(runs: TunedRuns) -> pd.DataFrame:
    """How far each arm's test accuracy spreads over its own trials: a row for each setting and method, `spread`.

    The spread is that of the trials' test accuracies from the best to the worst, in points. Only arms with all of their
    setting's trials count: one that diverged would be worse than any spread tells, and is counted in `missing`.
    """
    keys = [*SETTING, "method"]
    found = runs.trials.groupby(keys, sort=False)["test"].agg(["count", "max", "min"]).reset_index()
    most = found.groupby(list(SETTING), sort=False)["count"].transform("max")
    return found.assign(spread=found["max"] - found["min"], missing=most - found["count"])[[*keys, "spread", "missing"]]


def by_setting(frame: pd.DataFrame) -> Iterator[tuple[Mapping[str, Any], pd.DataFrame]]:
    """The rows of each setting, in the order of datasets' labels, networks, noise, regularization and size."""
    order = ["dataset", "network", "regularized", "noise", "examples"]
    for values, rows in frame.groupby(order, dropna=False):
        yield dict(zip(order, values, strict=True)), rows


def groups_of_settings(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each of GROUPS."""
    for name, (noisy, regularized) in GROUPS.items():
        rows = frame
        if noisy is not None:
            rows = rows[(rows["noise"].astype(float) > 0) == noisy]
        if regularized is not None:
            rows = rows[rows["regularized"].astype(bool) == regularized]
        yield name, rows
