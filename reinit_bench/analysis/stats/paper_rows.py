"""Rows of the paper's tables made again: every arm's difference from BL beside the paper's, two controls, and chance.

The controls tell what else than resetting a gain may be: warm restarts, and BL with its patience times the number of
rounds, which may train as long as the methods with rounds do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import distinguishing_settings, natural
from reinit_bench.analysis.frame.methods import PAPERS
from reinit_bench.analysis.frame.settings import PAPER, without_difference
from reinit_bench.analysis.stats.summary import Estimate, Summary, estimate, paired_differences

BASELINE, LONG = "bl", "bl_long"
CONTROLS: Mapping[str, str] = {"restart": "Restart", LONG: "BL patience 240"}
ARMS: Mapping[str, str] = {**{name: name.upper() for name in PAPERS}, **CONTROLS}
"""The controls, and all arms, with their labels."""

DATASETS = ("CIFAR10", "CMATERDB", "CALTECH101", "CIFAR100", "FMNIST", "MNIST-COR")
"""The order in which `study=rows` trains them; other datasets of the paper come after."""

COPIES: Mapping[str, str] = {"caltech101_96": "CALTECH101", "cifar100_part": "CIFAR100"}
"""Datasets that are a part or a smaller copy of one of the paper's."""

TIE = 0.3
"""A published difference of fewer points counts as a tie: it has no sign to be met."""

DRAWS = 9_999
SEED = 0
"""Of the permutations: the same runs give the same chance."""

_STOP = ["trainer.patience_epochs", "trainer.plateau_epochs"]
_ARMS = {(name, 60, 20): name for name in (*PAPERS, "restart")} | {(BASELINE, 240, 80): LONG}
"""The arm by method, patience and plateau; other runs are none."""


@dataclass(frozen=True, kw_only=True)
class PaperRow:
    """One row of a published table, and the runs of its dataset, model and condition under one setting.

    Attributes:
        label: the dataset and the model, and what else tells the row from others.
        table: the number of the published table.
        dataset: as the paper calls it.
        runs: rows of a collection's frame, each with its `arm`.
        published: the paper's percent by arm: none for a control or a damaged cell.
    """

    label: str
    table: int
    dataset: str
    runs: pd.DataFrame
    published: Mapping[str, float]

    def differences(self, base: str) -> dict[str, Estimate]:
        """Each arm's difference from this one in points, paired by seed."""
        paired = paired_differences(self.runs, "arm", base)
        return {str(arm): estimate([Summary.of(own)]) for arm, own in paired.groupby("arm")["difference"]}

    def published_difference(self, arm: str) -> float | None:
        """The paper's difference from BL in points."""
        if arm == BASELINE or not {arm, BASELINE} <= self.published.keys():
            return None
        return round(self.published[arm] - self.published[BASELINE], 6)

    def sign(self, arm: str) -> int:
        """The sign of the published difference; 0 for a tie or none."""
        gain = self.published_difference(arm) or 0.0
        return 0 if abs(gain) < TIE else int(np.sign(gain))

    def accuracies(self) -> np.ndarray:
        """Percent by seed and method, the paper's six in its order; NaN where a run is missing."""
        table = self.runs.pivot_table(index="seed", columns="arm", values="test_accuracy")
        return 100 * table.reindex(columns=list(PAPERS)).to_numpy(dtype=float)


def paper_rows(collection: Collection) -> list[PaperRow]:
    """The rows of Table 6 in the order of the study, then those of Tables 2 and 7: runs by the paper's own protocol."""
    protocol = {name: value for name, value in PAPER.items() if name.startswith("trainer.")}
    runs = without_difference(collection.default_images, protocol)
    keys = zip(runs["method"], *(runs.reindex(columns=_STOP)[name] for name in _STOP), strict=True)
    runs = runs.assign(
        arm=pd.Series([_ARMS.get(key) for key in keys], runs.index, dtype=object),
        in_paper=runs["dataset"].map(COPIES).fillna(runs["dataset_label"]),
    )
    known = runs["in_paper"].isin(paper.DATASETS) & runs["model"].isin(paper.MODELS)
    runs = runs[known & runs["arm"].notna()]
    settings = [name for name in collection.shared_settings if name not in _STOP]
    return [row for table in (6, 2, 7) for row in _rows_of(table, runs, settings)]


def _rows_of(table: int, runs: pd.DataFrame, settings: Sequence[str]) -> list[PaperRow]:
    """One for each setting in which BL and another arm have runs."""
    for column, value in paper.CONDITIONS[table].settings.items():
        runs = runs[runs[column] == value]
    if runs.empty:
        return []
    found = {}
    runs = runs.assign(differing=distinguishing_settings(runs, settings))
    for _, own in runs.groupby(["dataset_shown", "model", "differing"]):
        first = own.iloc[0]
        dataset, model, differing = str(first["in_paper"]), str(first["model"]), str(first["differing"])
        if not {BASELINE} < set(own["arm"]):
            continue
        place = paper.order_key(dataset, DATASETS), first["order"], natural(differing)
        condition = "" if table == 6 else f"Table {table}"
        published = {name: paper.published_accuracy(table).get((dataset, model, name)) for name in PAPERS}
        found[place] = PaperRow(
            label=", ".join(filter(None, (first["dataset_shown"], model, condition, differing))),
            table=table,
            dataset=dataset,
            runs=own,
            published={name: value for name, value in published.items() if value is not None},
        )
    return [found[place] for place in sorted(found)]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far rows agree with the paper's.

    Chance: the six methods' accuracies permuted within each row and seed, for five differences share one baseline. A p
    is the share of permutations that agree as well or better.

    Attributes:
        met, signs: how many of the paper's signs are met, of how many that are no ties and have runs.
        chance, high, p: how many chance meets on average, and in 95% at most.
        correlation, correlation_p: rank correlation (Spearman's) of the six methods with the paper's, mean over the
            `rows` that have all six; None without such a row.
    """

    met: int
    signs: int
    chance: float
    high: int
    p: float
    correlation: float | None
    correlation_p: float | None
    rows: int


def agreement(rows: Sequence[PaperRow]) -> Agreement:
    """Of one or more rows together."""
    rng = np.random.default_rng(SEED)
    found = [_agreeing(row, rng) for row in rows]
    met = np.sum([one for one, _, _ in found], axis=0)
    correlations = [one for _, _, one in found if one is not None]
    correlation = np.mean(correlations, axis=0) if correlations else None
    return Agreement(
        met=int(met[0]),
        signs=sum(signs for _, signs, _ in found),
        chance=float(met[1:].mean()),
        high=int(np.quantile(met[1:], 0.95, method="higher")),
        p=_share(met),
        correlation=None if correlation is None else float(correlation[0]),
        correlation_p=None if correlation is None else _share(correlation),
        rows=len(correlations),
    )


def correlation_by_seed(row: PaperRow) -> Estimate | None:
    """The rank correlation of one seed's six runs with the paper's numbers, mean over the seeds that have all six."""
    found = [_correlation(seed[None], row) for seed in row.accuracies()]
    whole = [one[0] for one in found if one is not None]
    return estimate([Summary.of(np.array(whole))]) if whole else None


def _share(values: np.ndarray) -> float:
    """The share of all that are no smaller than the first, which is the observed one."""
    return float(np.mean(values >= values[0] - 1e-9))


def _agreeing(row: PaperRow, rng: np.random.Generator) -> tuple[np.ndarray, int, np.ndarray | None]:
    """Signs met, how many there are, and rank correlation: first of the row as it is, then of each permutation."""
    drawn = np.tile(row.accuracies(), (1 + DRAWS, 1, 1))
    for place, seed in enumerate(drawn[0]):
        there = np.flatnonzero(~np.isnan(seed))  # what is missing stays missing
        drawn[1:, place, there] = rng.permuted(drawn[1:, place, there], axis=-1)
    differences = np.ma.masked_invalid(drawn - drawn[..., :1])
    gains = np.round(np.ma.filled(differences.mean(axis=-2), np.nan), 6)
    signs = np.array([row.sign(name) for name in PAPERS])
    known = (signs != 0) & ~np.isnan(gains[0])
    return ((np.sign(gains) == signs) & known).sum(axis=-1), int(known.sum()), _correlation(gains, row)


def _correlation(values: np.ndarray, row: PaperRow) -> np.ndarray | None:
    """Spearman's rank correlation of each line with the published numbers; None where one of the six is missing."""
    from scipy.stats import rankdata

    if np.isnan(values).any() or len(row.published) < len(PAPERS):
        return None
    mean_rank = (len(PAPERS) + 1) / 2
    ours, theirs = (rankdata(one, axis=-1) - mean_rank for one in (values, [*row.published.values()]))
    scale = np.sqrt((ours**2).sum(axis=-1) * (theirs**2).sum())
    return np.divide((ours * theirs).sum(axis=-1), scale, out=np.zeros(len(values)), where=scale > 0)
