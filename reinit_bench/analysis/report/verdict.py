"""The paper's claim and what the finished runs say of it: counts, an exact test, a mean difference; no more."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from reinit_bench.analysis import notes, paper
from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.gains import interval
from reinit_bench.analysis.outcomes import Outcomes, outcomes
from reinit_bench.analysis.ranks import ENOUGH_DATASETS
from reinit_bench.analysis.report.page import Contest, Standing, Verdict
from reinit_bench.analysis.significance import LEVEL, binomial, compare

CLAIM = (
    "Training a convolutional network in rounds, bottom up, and redrawing everything above the block of the round (LW) "
    "generalizes better than training it once for as many steps (the baseline BL), most of all on small training sets, "
    "and is more often the best than the four other ways of reinitializing (Sections 1, 3 and 5)."
)
START = "reinit-bench -m study=digits"
"""The cheapest study that can say something; study=table3 is the paper's."""

FULL = "reinit-bench -m study=table3 hydra/launcher=slurm"

FEWEST = next(n for n in range(1, 100) if binomial(n, n) <= LEVEL)
"""With fewer decided settings the exact test cannot reach its level, whoever wins them."""


def verdict(collection: Collection) -> Verdict:
    """What the runs of Table 3's conditions say; runs of other conditions are not looked at."""
    found = outcomes(collection)
    contests = tuple(_contests(found)) if {"bl", "lw"} <= set(found.methods) else ()
    whole = contests[0] if contests else None
    first = _ahead(whole)
    second, best = _most_often_best(found)
    return Verdict(
        claim=CLAIM,
        sentence=_sentence(collection, whole, first, second, best),
        first=first,
        second=second,
        contests=contests,
        caveats=tuple(_caveats(collection, found, whole)),
        command=START if whole is None or whole.wins + whole.losses < FEWEST else None,
    )


def _contests(found: Outcomes) -> Iterator[Contest]:
    models = list(dict.fromkeys(found.frame["model"]))
    both = found.frame.dropna(subset=["bl", "lw"])
    if both.empty:
        return
    for where in ["all", *models] if len(models) > 1 else models:
        rows = both if where == "all" else both[both["model"] == where]
        if len(rows):
            complete = found.common().complete
            yield _contest(where, rows, complete if where == "all" else complete[complete["model"] == where], found)


def _contest(where: str, rows: pd.DataFrame, complete: pd.DataFrame, found: Outcomes) -> Contest:
    (pair,) = (one for one in compare(rows, ["bl", "lw"]) if one.column == "lw")
    gain, over = _gain(rows)
    best = _best(complete, list(found.common().methods)).get("lw", 0)
    return Contest(
        where=where,
        wins=pair.wins,
        losses=pair.losses,
        ties=pair.ties,
        gain=gain,
        over=over,
        p=pair.p,
        best=f"{best} of {len(complete)}" if len(complete) else "—",
    )


def _gain(rows: pd.DataFrame) -> tuple[str, str]:
    """The mean difference in points; its interval is over datasets, whose settings are alike, where there are two."""
    difference = rows["lw"] - rows["bl"]
    datasets = difference.groupby(rows["dataset"]).mean()
    unit, values = ("datasets", datasets) if len(datasets) > 1 else ("settings", difference)
    mean, half = interval(values)
    return (f"{mean:+.1f}", "") if half is None else (f"{mean:+.1f} ± {half:.1f}", f"{len(values)} {unit}")


def _best(complete: pd.DataFrame, methods: list[str]) -> dict[str, int]:
    """In how many settings each method is the best, alone or with another."""
    values = complete[methods].round(6)
    top = values.max(axis=1)
    return {name: int((values[name] == top).sum()) for name in methods}


def _ahead(whole: Contest | None) -> Standing:
    if whole is None or whole.p > LEVEL:
        return "open"
    return "agrees" if whole.wins > whole.losses else "disagrees"


def _most_often_best(found: Outcomes) -> tuple[Standing, str]:
    """Whether LW is the most often best by more than chance (beside the best other), and the counts in words."""
    common = found.common() if found.methods else found
    complete = common.complete if common.methods else common.frame
    if len(common.methods) < 3 or "lw" not in common.methods or complete.empty:
        return "open", ""
    counts = _best(complete, list(common.methods))
    order = sorted(counts, key=lambda name: -counts[name])
    said = ", ".join(f"{common.methods[name]} {counts[name]}" for name in order)
    words = f"best of {len(counts)} methods, alone or tied, in {len(complete)} settings with all of them: {said}"
    rival = next(name for name in order if name != "lw")
    values = complete[list(common.methods)].round(6)
    top = values.eq(values.max(axis=1), axis=0)
    ours, theirs = (int((top[one] & ~top[other]).sum()) for one, other in (("lw", rival), (rival, "lw")))
    p = binomial(ours, ours + theirs)
    if p > LEVEL:
        return "open", f"{words}; LW's lead or lag to {common.methods[rival]} may be chance, p = {p:.2g}"
    return ("agrees" if ours > theirs else "disagrees"), f"{words}; LW to {common.methods[rival]}: p = {p:.2g}"


def _sentence(collection: Collection, whole: Contest | None, first: Standing, second: Standing, best: str) -> str:
    finished = len(collection.frame)
    if whole is None:
        runs = "no run has finished" if not finished else f"{finished} runs have finished, none of both LW and BL"
        return f"Nothing can be concluded: {runs} under the conditions of the paper's Table 3."
    decided = whole.wins + whole.losses
    numbers = (
        f"LW beats BL in {whole.wins} of {whole.settings} settings and loses in {whole.losses} "
        f"(mean difference {whole.gain} points{f', 95% interval over {whole.over}' if whole.over else ''}; "
        f"exact binomial test p = {whole.p:.2g})"
    )
    if decided < FEWEST:
        return f"Nothing can be concluded yet: {numbers}; {decided} decided settings cannot reach 95%, {FEWEST} could."
    said = {
        "agrees": "that LW is ahead of the baseline holds in these runs",
        "disagrees": "that LW is ahead of the baseline does not hold in these runs: BL is",
        "open": "these runs do not tell LW from the baseline",
    }[first]
    return f"{numbers}: {said}{_also(first, second, best)}."


def _also(first: Standing, second: Standing, best: str) -> str:
    """The second half of the sentence: which method is the most often best, where that can be asked."""
    if not best:
        return ""
    said = {
        "agrees": "and it is the most often best" if first == "agrees" else "yet it is the most often best",
        "disagrees": "it is not the most often best",
        "open": "nor which method is the most often best" if first == "open" else "which is best most often stays open",
    }[second]
    return f"; {said} ({best})"


def _caveats(collection: Collection, found: Outcomes, whole: Contest | None) -> Iterator[str]:
    frame = found.frame
    if whole is not None:
        datasets = list(dict.fromkeys(frame["dataset"]))
        if len(datasets) < ENOUGH_DATASETS:
            named = ", ".join(datasets)
            yield (
                f"all settings are of {len(datasets)} dataset{'s' * (len(datasets) > 1)} ({named}); the paper has "
                f"{len(paper.DATASETS)}, and settings of one dataset are not independent: {FULL}"
            )
        lacking = len(frame) - whole.settings
        if lacking:
            yield f"{lacking} settings lack LW or BL and are not counted"
        yield "a setting is a dataset, an architecture, a condition and an initializer; its seeds are averaged"
        images = collection.frame["image_size"].notna()
        yield from notes.settings_unlike_paper(collection.frame[images])
    yield from found.left_out
    yield from notes.left_out(collection)
    yield from notes.mixed_code(collection.frame)
