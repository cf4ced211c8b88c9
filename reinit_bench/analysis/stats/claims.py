"""What is claimed of resetting, and what a tuned comparison says of each claim: shown, not shown, or cannot be told.

The claims are the paper's (Section 5) and the three of Zaidi et al. 2022. The rule was set before any run: a claim that
something is larger than nothing is *shown* where the 95% interval lies above 0; *not shown* where it lies below the
smallest difference worth having; otherwise it *cannot be told*. The interval was a bootstrap's until one setting had
run; since then it is the t-interval, which is wider where seeds are few, so that less is shown. The comparison with the
control was added then too.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from reinit_bench.analysis.frame.labels import plural
from reinit_bench.analysis.stats.arms import SETTING, TunedRuns
from reinit_bench.analysis.stats.paired_gains import BASELINE, pairs, sensitivity
from reinit_bench.analysis.stats.summary import Estimate, Summary, estimate

RESETTING = ("lw", "fc", "llf", "sp")
"""The arms that stand for resetting: they redraw or shrink a part of the network at a round's start, the paper's LW and
FC and the two best known since; all have runs in every setting of the study's fraction."""

SMALLEST = 0.2
"""The smallest gain worth having, in points: about half of what the paper's Table 6 has for LW on Fashion-MNIST."""

SMALL_SETS = 1_000
"""Up to this many training images a set is small."""


@dataclass(frozen=True)
class Claim:
    """One claim: what was said, what was measured, and what that says.

    Attributes:
        said: the claim.
        measured: what the number is.
        estimate: the number; None without runs.
        settings: in how many settings.
    """

    said: str
    measured: str
    estimate: Estimate | None
    settings: int

    @property
    def verdict(self) -> str:
        """`shown`, `not shown` or `cannot be told`."""
        one = self.estimate
        if one is None or one.low is None or one.high is None:
            return "cannot be told"
        if one.low > 0:
            return "shown"
        return "not shown" if one.high < SMALLEST else "cannot be told"

    @property
    def evidence(self) -> str:
        """What was measured: the number, its interval and its n."""
        one = self.estimate
        if one is None:
            return "No runs"
        interval = "" if one.low is None else f" (95% t-interval {one.low:+.2f} to {one.high:+.2f})"
        return f"{self.measured}: {one.value:+.2f}{interval}, n = {one.n} in {plural(self.settings, 'setting')}"

    def __str__(self) -> str:
        return f"{self.said}: {self.verdict}. {self.evidence}"


def claims(runs: TunedRuns) -> list[Claim]:
    """The paper's claim, without and with a control, and the three of Zaidi et al., each with what these runs say."""
    gained = pairs(runs)
    resetting = _resetting(gained)
    plain, noisy = ~gained["regularized"].astype(bool), gained["noise"].astype(float) > 0
    small = gained["examples"].astype(float) <= SMALL_SETS
    of_paper = gained[plain & ~noisy & small]
    means = resetting["noise"].astype(float) > 0, resetting["regularized"].astype(bool)
    return [
        _claim(
            f"LW is better than training once on small sets (the paper; up to {SMALL_SETS:,} images)",
            "LW's gain over BL without other regularization and with right labels, in points",
            of_paper[of_paper["method"] == "lw"],
        ),
        _claim(
            "It is better there than rounds that reset nothing but the optimizer (the control Restart)",
            "LW's accuracy less Restart's, in points",
            _over_control(of_paper),
        ),
        _claim(
            "Without other regularization resetting helps (Zaidi et al.)",
            f"Mean gain over BL of {_names(runs)}, right labels, in points",
            resetting[~means[0] & ~means[1]],
        ),
        _claim(
            "Beside tuned augmentation, weight decay and schedule it still helps (Zaidi et al. say: little)",
            f"Mean gain over BL of {_names(runs)}, right labels, in points",
            resetting[~means[0] & means[1]],
        ),
        _steadier(runs),
        _claim(
            "Under label noise it helps even beside other regularization (Zaidi et al.)",
            f"Mean gain over BL of {_names(runs)}, wrong labels, regularized, in points",
            resetting[means[0] & means[1]],
        ),
    ]


def _names(runs: TunedRuns) -> str:
    return ", ".join(runs.methods[name] for name in RESETTING if name in runs.methods)


def _resetting(gained: pd.DataFrame) -> pd.DataFrame:
    """The resetting arms' mean gain for each setting and seed: pairs that share a baseline run are not independent."""
    own = gained[gained["method"].isin(RESETTING)]
    keys = [*SETTING, "seed"]
    whole = own.groupby(keys)["method"].transform("nunique") == own["method"].nunique()
    return own[whole].groupby(keys, sort=False)["gain"].mean().reset_index()


def _over_control(gained: pd.DataFrame) -> pd.DataFrame:
    """By how much LW is better than Restart, for each setting and seed that both have."""
    keys = [*SETTING, "seed"]
    ours, control = (gained[gained["method"] == name][[*keys, "gain"]] for name in ("lw", "restart"))
    both = ours.merge(control, on=keys, suffixes=("", "_control"))
    return both.assign(gain=both["gain"] - both["gain_control"])


def _claim(said: str, measured: str, rows: pd.DataFrame) -> Claim:
    strata = [Summary.of(part["gain"]) for _, part in rows.groupby(list(SETTING), sort=False)]
    return Claim(said, measured, estimate(strata) if strata else None, len(strata))


def _steadier(runs: TunedRuns) -> Claim:
    """By how much less the resetting arms spread over their trials than the baseline over its own, by setting."""
    spread = sensitivity(runs)
    spread = spread[(spread["missing"] == 0) & spread["regularized"].astype(bool)]
    table = spread.set_index([*SETTING, "method"])["spread"].unstack("method")
    arms = [name for name in RESETTING if name in table]
    less = pd.Series(dtype=float)
    if BASELINE in table and arms:
        less = (table[BASELINE] - table[arms].mean(axis=1)).dropna()
    return Claim(
        "Beside other regularization resetting makes the result less sensitive to learning rate and weight decay "
        "(Zaidi et al.)",
        f"Points by which {_names(runs)} spread less than BL over their trials, mean over settings",
        estimate([Summary.of(less)]) if len(less) else None,
        len(less),
    )
