"""Chooses study=core: the part of the paper's grid that agrees best with all of it at a twentieth of the cost.

    python benchmarks/core_study.py [--share 0.05]

Which part: a study of two blocks. Some architectures keep all settings of Tables 2, 6 and 7; the others share one
product of datasets and conditions. The six methods always stay together, with the He normal initializer.

The rule: of all such studies within the bound (GPU-hours by the model that reinit_bench/sweep/cost.py states), the one
with the smallest distance from all settings, in the published numbers. The distance is a sum of two terms of equal
weight, each a mean over the four architectures: by how much a method's mean rank over settings differs, and which share
of the 15 pairs of methods gets another verdict (better, worse, or neither: the two-sided exact binomial test at 95%,
ties dropped, without Holm's correction). Of equal distances the cheapest study is taken, then the first one. Damaged
numbers that follow from legible ones count; a setting that lacks another is left out of the ranks.

Beside it stand studies that the numbers did not choose: all of the same form and about the same cost, and the cheapest
datasets under all conditions. Then the rule is applied without one dataset at a time, and what it chooses is compared
with that dataset and with all twelve. No random number is drawn. About six seconds on one core.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from subsets import (
    Array,
    Conclusions,
    Grid,
    Study,
    about_as_costly,
    cheapest_datasets,
    choose,
    mean_ranks,
    verdicts,
)

from reinit_bench.analysis.runs import paper
from reinit_bench.analysis.runs.published_runs import published_runs
from reinit_bench.analysis.stats.scores import scores_by_setting
from reinit_bench.cli.compose import composer
from reinit_bench.core.config import Experiment
from reinit_bench.sweep.cost import Rates

SHARE = 0.05
"""Of the GPU-hours of study=paper."""


def published_grid() -> tuple[Grid, float]:
    """The grid of Tables 2, 6 and 7, and the GPU-hours of study=paper."""
    scores = scores_by_setting(published_runs(reconstructed=True))
    rows = scores.frame.set_index(["model", "dataset", "augmentation", "dropout_rate"])[list(paper.LETTERS)]
    conditions = [(one.augmentation, one.dropout_rate) for one in paper.CONDITIONS.values()]
    accuracies = {
        model: rows.reindex([(model, name, *one) for name in paper.DATASETS for one in conditions])
        .to_numpy(dtype=float)
        .reshape(len(paper.DATASETS), len(conditions), -1)
        for model in paper.MODELS
    }
    one_condition = hours_of("study=table2")
    hours = {model: np.array([one_condition[name, model] for name in paper.DATASETS]) for model in paper.MODELS}
    return Grid(paper.DATASETS, tuple(paper.CONDITIONS), accuracies, hours), sum(hours_of("study=paper").values())


def hours_of(study: str) -> Mapping[tuple[str, str], float]:
    """GPU-hours of a study by dataset (its label) and architecture, from the stated model alone."""
    with composer() as compose:
        every = [Experiment.from_dict(compose.compose(list(job))) for job in compose.jobs((study,))]
    rates, hours = Rates({}, {}), defaultdict[tuple[str, str], float](float)
    for run in {each.run_id: each for each in every}.values():
        hours[run.dataset["_label_"], run.model["name"]] += rates.seconds(run) / 3600
    return hours


def named(conclusions: Conclusions, study: Study) -> str:
    """The datasets of a study's block, and the tables with its conditions."""
    grid, block = conclusions.grid, conclusions.blocks[study.place]
    datasets = [name for name, chosen in zip(grid.datasets, block.any(axis=1), strict=True) if chosen]
    tables = [str(number) for number, chosen in zip(grid.conditions, block.any(axis=0), strict=True) if chosen]
    return f"{', '.join(datasets)}; Tables {', '.join(tables)}"


def line(conclusions: Conclusions, study: Study, total: float) -> list[str]:
    """A study's runs and cost, what it consists of, and how near it is to all settings."""
    block = conclusions.blocks[study.place]
    others = len(conclusions.ranks) - len(study.whole)
    runs = len(paper.LETTERS) * (len(study.whole) * block.size + others * int(block.sum()))
    cost = conclusions.cost(study.whole)[study.place]
    consists_of = [", ".join(study.whole) or "none", named(conclusions, study)]
    return [
        f"{runs:,}",
        f"{cost:,.0f} ({cost / total:.1%})",
        *consists_of,
        *_near(conclusions, study.whole, [study.place]),
    ]


def _near(conclusions: Conclusions, whole: Sequence[str], places: Sequence[int] | Array) -> list[str]:
    """The mean distances of the studies with these blocks: in ranks, in verdicts, and their sum."""
    ranks, marks = conclusions.apart(whole, conclusions)[:, places].mean(axis=1)
    pairs = sum(found.shape[1] for found in conclusions.verdicts.values())
    agree = pairs * (1 - marks)
    return [f"{ranks:.2f}", f"{agree:.{0 if len(places) == 1 else 1}f} of {pairs}", f"{ranks + marks:.2f}"]


def baselines(conclusions: Conclusions, study: Study, bound: float, total: float) -> Iterator[list[str]]:
    """The chosen study, the cheapest datasets, and the mean of all of about its cost: of its form, and of one block."""
    yield ["chosen", *line(conclusions, study, total)]
    cheapest = cheapest_datasets(conclusions, study.whole, bound)
    yield ["cheapest datasets", *line(conclusions, Study(study.whole, cheapest), total)]
    for whole in (study.whole, ()):
        places = about_as_costly(conclusions, whole, bound)
        name = f"mean of {len(places):,} of its cost"
        yield [name, "", "", ", ".join(whole) or "none", "any", *_near(conclusions, whole, places)]


def without_one(grid: Grid, bound: float) -> Iterator[tuple[str, list[float]]]:
    """For each dataset what is chosen without it, and how far that and other studies without it are from two things.

    Four distances in ranks from the dataset that was left out: of the chosen study, the cheapest datasets, the mean of
    those of the same form and cost, all settings of the other eleven. Then three in ranks and verdicts from all twelve
    datasets: of the first three of these.
    """
    twelve = Conclusions.of(grid)
    for left_out in range(len(grid.datasets)):
        eleven = Conclusions.of(grid.only([place for place in range(len(grid.datasets)) if place != left_out]))
        study = choose(eleven, bound)
        alone = eleven.apart(study.whole, Conclusions.of(grid.only([left_out])))[0]
        everything = eleven.apart(study.whole, twelve).sum(axis=0)
        cheapest = cheapest_datasets(eleven, study.whole, bound)
        similar = about_as_costly(eleven, study.whole, bound)
        yield (
            named(eleven, study),
            [
                *(alone[study.place], alone[cheapest], alone[similar].mean(), alone[-1]),
                *(everything[study.place], everything[cheapest], everything[similar].mean()),
            ],
        )


@dataclass(frozen=True)
class Said:
    """What all settings of an architecture (or of all) say, and what the study's say: (2, methods), (2, pairs)."""

    model: str
    ranks: Array
    verdicts: Array


def said(conclusions: Conclusions, study: Study) -> Iterator[Said]:
    """Over the settings of all architectures, then for each one."""
    both = {model: [-1, -1 if model in study.whole else study.place] for model in conclusions.ranks}
    blocks = np.concatenate([conclusions.blocks[places].reshape(2, -1) for places in both.values()], axis=1)
    methods = len(paper.LETTERS)
    settings = np.concatenate([values.reshape(-1, methods) for values in conclusions.grid.accuracies.values()])
    yield Said("all", mean_ranks(settings, blocks), verdicts(settings, blocks))
    for model, places in both.items():
        yield Said(model, conclusions.ranks[model][places], conclusions.verdicts[model][places])


def means(one: Said) -> list[str]:
    """The mean ranks of both, and how many pairs of methods both tell apart."""
    ranks = [f"{everything:.2f}, {study:.2f}" for everything, study in one.ranks.T]
    return [one.model, *ranks, ", ".join(str(np.count_nonzero(signs)) for signs in one.verdicts)]


def changed(one: Said) -> Iterator[list[str]]:
    """The verdicts of all settings that the study does not repeat."""
    pairs = combinations((name.upper() for name in paper.LETTERS), 2)
    for (earlier, later), *signs in zip(pairs, *one.verdicts, strict=True):
        if signs[0] != signs[1]:
            yield [one.model, *(_verdict(earlier, later, int(sign)) for sign in signs)]


def _verdict(earlier: str, later: str, sign: int) -> str:
    return (f"{earlier} and {later} not told apart", f"{later} over {earlier}", f"{earlier} over {later}")[sign]


def show(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a Markdown table."""
    for row in (headings, ["---"] * len(headings), *rows):
        print("| " + " | ".join(row) + " |", flush=True)
    print()


def show_without_one(grid: Grid, folds: Sequence[tuple[str, list[float]]]) -> None:
    """Print the distances by left-out dataset, their means, and how often the chosen study is the nearer one."""
    headings = ["Chosen", "Cheapest datasets", "Mean of its cost", "All eleven"]
    headings += [f"{name}, from all twelve" for name in headings[:3]]
    found = np.array([distances for _, distances in folds])
    rows = [[name, chosen, *_rounded(each)] for name, (chosen, each) in zip(grid.datasets, folds, strict=True)]
    rows.append(["mean", "", *_rounded(found.mean(axis=0))])
    nearer = [*(found[:, [0]] < found[:, :4]).sum(axis=0), *(found[:, [4]] < found[:, 4:]).sum(axis=0)]
    own = (0, 4)
    rows.append(["the chosen one is nearer", "", *("" if n in own else str(count) for n, count in enumerate(nearer))])
    show(["Left out", "Block chosen without it", *headings], rows)


def _rounded(values: Iterable[float]) -> list[str]:
    return [f"{value:.2f}" for value in values]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=SHARE, help="of the GPU-hours of study=paper")
    share = parser.parse_args().share
    grid, total = published_grid()
    conclusions = Conclusions.of(grid)
    columns = ["Runs", "GPU-hours", "All settings", "The others", "Ranks", "Verdicts", "Distance"]
    print(f"study=paper: {total:,.0f} GPU-hours\n")
    shares = (0.01, 0.02, 0.03, 0.05, 0.1)
    studies = [(one, choose(conclusions, one * total)) for one in shares]
    show(["Bound", *columns], ([f"{one:.0%}", *line(conclusions, study, total)] for one, study in studies))
    bound = share * total
    study = choose(conclusions, bound)
    show([f"Within {share:.0%}", *columns], baselines(conclusions, study, bound, total))
    everything = list(said(conclusions, study))
    show(
        ["All settings, the study", *(name.upper() for name in paper.LETTERS), "Pairs told apart"],
        map(means, everything),
    )
    show(["Verdicts", "All settings", "The study"], (row for one in everything for row in changed(one)))
    show_without_one(grid, list(without_one(grid, bound)))


if __name__ == "__main__":
    main()
