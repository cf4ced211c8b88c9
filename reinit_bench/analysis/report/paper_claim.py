"""The paper's claim and what the finished runs say of it: counts, an exact test, a mean difference; no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from reinit_bench.analysis.frame import notes, paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import plural
from reinit_bench.analysis.frame.methods import PAPERS
from reinit_bench.analysis.stats.mean_ranks import ENOUGH_DATASETS
from reinit_bench.analysis.stats.scores import ALL, Scores, by_model, is_best, scores_by_setting
from reinit_bench.analysis.stats.significance import LEVEL, ExactTest, binomial, compare
from reinit_bench.analysis.stats.summary import Estimate, over_datasets
from reinit_bench.analysis.tables.table import MISSING

CLAIM = (
    "Training a convolutional network in rounds, bottom up, and redrawing everything above the block of the round (LW) "
    "generalizes better than training it once for as many steps (the baseline BL), most of all on small training sets, "
    "and is more often the best than the four other ways of reinitializing (Sections 1, 3 and 5)."
)
START = "reinit-bench -m study=digits"
"""The cheapest study that can say something; study=table3 is the paper's."""

FULL = "reinit-bench -m study=table3 hydra/launcher=slurm"

FEWEST = ExactTest().fewest_settings
"""With fewer decided settings the exact test cannot reach its level, whoever wins them."""


Standing = Literal["agrees", "disagrees", "open"]
"""What the runs say of the paper's claim; `open`: nothing can be concluded."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """LW against the baseline over the settings of one architecture.

    Attributes:
        where: the architecture, or `all`.
        test: whether LW outperforms the baseline, as `compare` has it.
        gain: mean difference in percentage points.
        best: in how many of the settings with all methods LW is the best, as text.
    """

    where: str
    test: pd.Series
    gain: Estimate
    best: str

    @property
    def decided(self) -> int:
        return int(self.test.wins + self.test.losses)


@dataclass(frozen=True, kw_only=True)
class PaperClaim:
    """The paper's claim and what the runs say of it.

    Attributes:
        claim: in our words.
        sentence: what the runs say, with the numbers.
        first: of "LW is ahead of the baseline".
        second: of "LW is most often the best".
        contests: over all architectures, then one by one.
        caveats: what a reader must know before leaning on it.
        command: what makes more runs; None where enough have finished.
    """

    claim: str
    sentence: str
    first: Standing
    second: Standing
    contests: Sequence[Contest]
    caveats: Sequence[str]
    command: str | None


def paper_claim(collection: Collection) -> PaperClaim:
    """What the runs of Table 3's conditions say; runs of other conditions are not looked at."""
    scores = scores_by_setting(collection)
    common = scores.of_paper().common()
    best = is_best(common.complete, list(common.methods))
    contests = tuple(_contests(scores, common, best)) if {"bl", "lw"} <= set(scores.methods) else ()
    whole = contests[0] if contests else None
    first: Standing = "open"
    if whole is not None and whole.test.p <= LEVEL:
        first = "agrees" if whole.test.wins > whole.test.losses else "disagrees"
    second, counts = _most_often_best(common, best)
    return PaperClaim(
        claim=CLAIM,
        sentence=_sentence(whole, first, second, counts) if whole else _nothing(len(collection.frame)),
        first=first,
        second=second,
        contests=contests,
        caveats=tuple(_caveats(collection, scores, whole)),
        command=START if whole is None or whole.decided < FEWEST else None,
    )


def _contests(scores: Scores, common: Scores, best: pd.DataFrame) -> Iterator[Contest]:
    for where, rows in by_model(scores.frame):
        both = rows.dropna(subset=["bl", "lw"])
        if both.empty:
            continue
        whole = best if where == ALL else best[common.complete["model"] == where]
        leads = int(whole["lw"].sum()) if "lw" in whole else 0
        test = compare(both, ["bl", "lw"]).iloc[0]
        gain = over_datasets(both["lw"] - both["bl"], both["dataset"])
        yield Contest(where=where, test=test, gain=gain, best=f"{leads} of {len(whole)}" if len(whole) else MISSING)


def _most_often_best(common: Scores, best: pd.DataFrame) -> tuple[Standing, str]:
    """Whether LW leads in how often it is the best, by more than chance over the best other; the counts in words."""
    if len(common.methods) < 3 or "lw" not in common.methods or best.empty:
        return "open", ""
    counts = {name: int(best[name].sum()) for name in common.methods}
    order = sorted(counts, key=lambda name: -counts[name])
    listed = ", ".join(f"{common.methods[name]} {counts[name]}" for name in order)
    words = f"best of {len(counts)} methods, alone or tied, in {len(best)} settings with all of them: {listed}"
    rival = next(name for name in order if name != "lw")
    ours, theirs = (int((best[one] & ~best[other]).sum()) for one, other in (("lw", rival), (rival, "lw")))
    p = binomial(ours, ours + theirs)
    if p > LEVEL:
        return "open", f"{words}; LW's lead or lag to {common.methods[rival]} may be chance, p = {p:.2g}"
    return ("agrees" if ours > theirs else "disagrees"), f"{words}; LW to {common.methods[rival]}: p = {p:.2g}"


def _nothing(finished: int) -> str:
    have = f"{plural(finished, 'run')} {'has' if finished == 1 else 'have'} finished, none of both LW and BL"
    return (
        f"Nothing can be concluded: {have if finished else 'no run has finished'} under the conditions of the paper's "
        "Table 3."
    )


def _sentence(whole: Contest, first: Standing, second: Standing, counts: str) -> str:
    """What the runs say; then which method is the most often best, where that can be asked."""
    test, gain = whole.test, whole.gain
    over = "" if gain.margin is None else f", 95% interval over {gain.over}"
    numbers = (
        f"LW beats BL in {test.wins} of {plural(test.settings, 'setting')} and loses in {test.losses} "
        f"(mean difference {gain} points{over}; exact binomial test p = {test.p:.2g})"
    )
    if whole.decided < FEWEST:
        few = plural(whole.decided, "decided setting")
        return f"Nothing can be concluded yet: {numbers}; {few} cannot reach 95%, {FEWEST} could."
    words = {
        "agrees": "that LW is ahead of the baseline holds in these runs",
        "disagrees": "that LW is ahead of the baseline does not hold in these runs: BL is",
        "open": "these runs do not tell LW from the baseline",
    }[first]
    best = {
        "agrees": "and it is the most often best" if first == "agrees" else "yet it is the most often best",
        "disagrees": "it is not the most often best",
        "open": "nor which method is the most often best" if first == "open" else "which is best most often stays open",
    }[second]
    return f"{numbers}: {words}; {best} ({counts})." if counts else f"{numbers}: {words}."


def _caveats(collection: Collection, scores: Scores, whole: Contest | None) -> Iterator[str]:
    if len(collection.trials):
        yield (
            "arms of tuned studies have each their own learning rate; here only runs of equal settings are compared: "
            "tables verdict and the sentences on arms tuned alike say more"
        )
    if whole is not None:
        datasets = list(dict.fromkeys(scores.frame["dataset"]))
        if len(datasets) < ENOUGH_DATASETS:
            yield (
                f"all settings are of {plural(len(datasets), 'dataset')} ({', '.join(datasets)}); the paper has "
                f"{len(paper.DATASETS)}, and settings of one dataset are not independent: {FULL}"
            )
        lacking = len(scores.frame) - whole.test.settings
        if lacking:
            yield f"{lacking} settings lack LW or BL and are not counted"
        others = [label for name, label in scores.methods.items() if name not in PAPERS]
        if others:
            yield f"the paper's claim is about its own methods; for {', '.join(others)} see Table 3, gains and ranks"
        yield "a setting is a dataset, an architecture, a condition and an initializer; its seeds are averaged"
        yield from notes.settings_unlike_paper(collection.frame[collection.frame["image_size"].notna()])
    yield from scores.left_out
    yield from notes.left_out(collection)
    yield from notes.mixed_code(collection.frame)
