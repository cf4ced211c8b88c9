"""Chooses study=core: the part of the paper's grid that agrees best with all of it at a twentieth of the cost.

    python results/paper_conclusions/core_study.py [SHARE]     # of the GPU-hours of study=paper, 0.05; six seconds

A study keeps some architectures with all settings of Tables 2, 6 and 7 and gives the others one block: a product of
datasets and conditions; always all six methods and He normal. Of all studies within the share (GPU-hours by the model
of reinit_bench/sweep/cost.py) the rule takes the one that is nearest to all settings in the published numbers: by the
sum of how much a method's mean rank differs, and of which share of the 15 pairs of methods has another verdict (better,
worse or neither, by the exact binomial test at 95% without correction), both averaged over the architectures. Of equal
distances it takes the cheapest study. Damaged numbers that follow from legible ones count.

Beside it stand studies that the numbers did not choose: the cheapest datasets, and all of about the same cost. Then the
rule is applied without one dataset at a time, and what it chooses is compared with that dataset.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import published_runs
from reinit_bench.analysis.stats.scores import scores_by_setting
from reinit_bench.analysis.stats.significance import LEVEL, binomial
from reinit_bench.cli.compose import composer
from reinit_bench.core.config import Experiment
from reinit_bench.sweep.cost import Rates

Array: TypeAlias = np.ndarray[Any, Any]
METHODS = [name.upper() for name in paper.LETTERS]
CONDITIONS = tuple(paper.CONDITIONS)


class Study(NamedTuple):
    """Architectures with all settings, and the number of the block that the others share."""

    whole: tuple[str, ...]
    block: int


class Grid:
    """What each block of some datasets costs and concludes, by architecture; the last block is all of them.

    Attributes:
        datasets: their labels.
        blocks: (blocks, datasets, conditions).
        ranks: mean ranks by architecture, NaN where no setting is complete: (blocks, methods).
        verdicts: of pairs by architecture: 1 the later method is better, -1 the earlier, 0 neither: (blocks, pairs).
        hours: GPU-hours by architecture: (blocks,).
    """

    def __init__(self, datasets: Sequence[str], accuracies: Mapping[str, Array], hours: Mapping[str, Array]) -> None:
        """`accuracies` (datasets, conditions, methods) and `hours` (datasets,) by architecture."""
        self.datasets, self.accuracies, self.dataset_hours = tuple(datasets), accuracies, hours
        of_datasets, of_conditions = _choices(len(datasets)), _choices(next(iter(accuracies.values())).shape[1])
        products = of_datasets[:, None, :, None] & of_conditions[None, :, None, :]
        self.blocks = products.reshape(-1, *products.shape[2:])
        flat = self.blocks.reshape(len(self.blocks), -1)
        settings = {model: values.reshape(flat.shape[1], -1) for model, values in accuracies.items()}
        self.ranks = {model: mean_ranks(values, flat) for model, values in settings.items()}
        self.verdicts = {model: verdicts(values, flat) for model, values in settings.items()}
        self.hours = {model: self.blocks.sum(axis=2) @ own for model, own in hours.items()}

    def only(self, numbers: Sequence[int]) -> Grid:
        """The grid of some of the datasets."""
        accuracies = {model: values[numbers] for model, values in self.accuracies.items()}
        hours = {model: values[numbers] for model, values in self.dataset_hours.items()}
        return Grid([self.datasets[number] for number in numbers], accuracies, hours)

    def cost(self, whole: Sequence[str]) -> Array:
        """GPU-hours of the study with each block: (blocks,)."""
        return _of_studies(whole, self.hours).sum(axis=0)

    def distance(self, whole: Sequence[str], other: Grid) -> Array:
        """How far each study is from all settings of another grid: (2, blocks), in ranks and in verdicts."""
        ranks = {model: np.abs(own - other.ranks[model][-1]).mean(axis=1) for model, own in self.ranks.items()}
        signs = {model: (own != other.verdicts[model][-1]).mean(axis=1) for model, own in self.verdicts.items()}
        return np.stack([_of_studies(whole, each).mean(axis=0) for each in (ranks, signs)])


def mean_ranks(accuracies: Array, blocks: Array) -> Array:
    """Each block's mean ranks over its complete settings: (blocks, methods); 1 is the best.

    Args:
        accuracies: (settings, methods).
        blocks: which settings each block has: (blocks, settings).
    """
    complete = ~np.isnan(accuracies).any(axis=1)
    ranks = pd.DataFrame(accuracies[complete]).round(6).rank(axis=1, ascending=False).to_numpy()
    chosen = blocks[:, complete].astype(float)
    counts = chosen.sum(axis=1, keepdims=True)
    return np.divide(chosen @ ranks, counts, out=np.full((len(blocks), ranks.shape[1]), np.nan), where=counts > 0)


def verdicts(accuracies: Array, blocks: Array) -> Array:
    """Each block's verdict on each pair of methods: (blocks, pairs), in the order of `combinations`."""
    pairs = combinations(range(accuracies.shape[1]), 2)
    gains = np.stack([np.round(accuracies[:, later] - accuracies[:, earlier], 6) for earlier, later in pairs], axis=1)
    chosen = blocks.astype(float)
    wins, losses = (chosen @ (gains > 0)).astype(int), (chosen @ (gains < 0)).astype(int)
    # The test is made once for each outcome that occurs.
    outcomes, of_each = np.unique(wins * (len(accuracies) + 1) + losses, return_inverse=True)
    tallies = (divmod(int(outcome), len(accuracies) + 1) for outcome in outcomes)
    significant = np.array([binomial(won, won + lost) <= LEVEL for won, lost in tallies])
    return np.sign(wins - losses) * significant[of_each].reshape(wins.shape)


def _of_studies(whole: Sequence[str], values: Mapping[str, Array]) -> Array:
    """Values of blocks by architecture, with that of all settings in their stead for the `whole` ones."""
    return np.stack([np.full_like(each, each[-1]) if model in whole else each for model, each in values.items()])


def _choices(count: int) -> Array:
    """Every non-empty choice of `count` things, the choice of all last."""
    return np.array(list(product([False, True], repeat=count)))[1:]


def choose(grid: Grid, bound: float) -> Study:
    """The study within `bound` GPU-hours whose conclusions are nearest to those of all settings."""
    found = []
    for count in range(len(grid.ranks)):
        for whole in combinations(grid.ranks, count):
            cost = grid.cost(whole)
            distance = np.where(cost <= bound, grid.distance(whole, grid).sum(axis=0), np.inf).round(9)
            block = int(np.lexsort((cost, distance))[0])
            found.append((float(distance[block]), float(cost[block]), Study(whole, block)))
    distance, _, study = min(found, key=lambda one: one[:2])
    if not np.isfinite(distance):
        raise ValueError(f"no study costs {bound} GPU-hours or less")
    return study


def cheapest_datasets(grid: Grid, whole: Sequence[str], bound: float) -> int:
    """The block with as many datasets as the bound has room for, cheapest first, under all conditions."""
    order = np.argsort(np.sum(list(grid.dataset_hours.values()), axis=0), kind="stable")
    cost, found = grid.cost(whole), []
    for count in range(1, len(order) + 1):
        wanted = np.zeros_like(grid.blocks[0])
        wanted[order[:count]] = True
        found.append(int(np.flatnonzero((grid.blocks == wanted).all(axis=(1, 2)))[0]))
    return [block for block in found if cost[block] <= bound][-1]


def about_as_costly(grid: Grid, whole: Sequence[str], bound: float) -> Array:
    """The blocks that cost 80 to 100% of the bound."""
    cost = grid.cost(whole)
    return np.flatnonzero((cost <= bound) & (cost >= 0.8 * bound) & np.isfinite(grid.distance(whole, grid)[0]))


def published_grid() -> tuple[Grid, float]:
    """The grid of Tables 2, 6 and 7, and the GPU-hours of study=paper."""
    frame = scores_by_setting(published_runs(reconstructed=True)).frame
    rows = frame.set_index(["model", "dataset", "augmentation", "dropout_rate"])[list(paper.LETTERS)]
    conditions = [(one.augmentation, one.dropout_rate) for one in paper.CONDITIONS.values()]
    shape = len(paper.DATASETS), len(conditions), len(METHODS)
    one_condition, accuracies, hours = hours_of("study=table2"), {}, {}
    for model in paper.MODELS:
        settings = [(model, name, *condition) for name in paper.DATASETS for condition in conditions]
        accuracies[model] = rows.reindex(settings).to_numpy(dtype=float).reshape(shape)
        hours[model] = np.array([one_condition[name, model] for name in paper.DATASETS])
    return Grid(paper.DATASETS, accuracies, hours), sum(hours_of("study=paper").values())


def hours_of(study: str) -> Mapping[tuple[str, str], float]:
    """GPU-hours of a study by dataset (its label) and architecture, from the stated model alone."""
    with composer() as compose:
        every = [Experiment.from_dict(compose.compose(list(job))) for job in compose.jobs((study,))]
    rates, hours = Rates({}, {}), defaultdict[tuple[str, str], float](float)
    for run in {each.run_id: each for each in every}.values():
        hours[run.dataset["_label_"], run.model["name"]] += rates.seconds(run) / 3600
    return hours


def line(grid: Grid, study: Study, total: float) -> list[str]:
    """A study's runs and cost, what it consists of, and how near it is to all settings."""
    block, cost = grid.blocks[study.block], grid.cost(study.whole)[study.block]
    others = len(grid.ranks) - len(study.whole)
    runs = len(METHODS) * (len(study.whole) * block.size + others * int(block.sum()))
    datasets = ", ".join(name for name, chosen in zip(grid.datasets, block.any(axis=1), strict=True) if chosen)
    tables = ", ".join(str(number) for number, chosen in zip(CONDITIONS, block.any(axis=0), strict=True) if chosen)
    consists_of = [", ".join(study.whole) or "none", f"{datasets}; Tables {tables}"]
    return [f"{runs:,}", f"{cost:,.0f} ({cost / total:.1%})", *consists_of, *_near(grid, study.whole, [study.block])]


def _near(grid: Grid, whole: Sequence[str], blocks: Sequence[int] | Array) -> list[str]:
    """The mean distances of the studies with these blocks: in ranks, in verdicts, and their sum."""
    ranks, signs = grid.distance(whole, grid)[:, blocks].mean(axis=1)
    pairs = sum(found.shape[1] for found in grid.verdicts.values())
    return [
        f"{ranks:.2f}",
        f"{pairs * (1 - signs):.{0 if len(blocks) == 1 else 1}f} of {pairs}",
        f"{ranks + signs:.2f}",
    ]


def beside(grid: Grid, study: Study, bound: float, total: float) -> Iterator[list[str]]:
    """The chosen study, the cheapest datasets, and the mean of all of about its cost: of its form, and of one block."""
    yield ["chosen", *line(grid, study, total)]
    yield ["cheapest datasets", *line(grid, Study(study.whole, cheapest_datasets(grid, study.whole, bound)), total)]
    for whole in (study.whole, ()):
        blocks = about_as_costly(grid, whole, bound)
        name = f"mean of {len(blocks):,} of its cost"
        yield [name, "", "", ", ".join(whole) or "none", "any", *_near(grid, whole, blocks)]


def lost(grid: Grid, study: Study) -> Iterator[list[str]]:
    """The verdicts of all settings of an architecture that the study does not repeat."""
    for model, found in grid.verdicts.items():
        signs = found[[-1, -1 if model in study.whole else study.block]].T
        for (earlier, later), (everything, part) in zip(combinations(METHODS, 2), signs, strict=True):
            if everything != part:
                yield [model, *(_words(earlier, later, int(sign)) for sign in (everything, part))]


def _words(earlier: str, later: str, sign: int) -> str:
    return (f"{earlier} and {later}: not significant", f"{later} over {earlier}", f"{earlier} over {later}")[sign]


def without_one(grid: Grid, bound: float) -> Iterator[list[float]]:
    """For each dataset, how far it is in ranks from studies of the other eleven.

    From the one that the rule chooses, the cheapest datasets, the mean of those of about its cost, and all settings.
    """
    for left_out in range(len(grid.datasets)):
        eleven = grid.only([number for number in range(len(grid.datasets)) if number != left_out])
        study = choose(eleven, bound)
        apart = eleven.distance(study.whole, grid.only([left_out]))[0]
        cheapest = cheapest_datasets(eleven, study.whole, bound)
        similar = apart[about_as_costly(eleven, study.whole, bound)].mean()
        yield [float(each) for each in (apart[study.block], apart[cheapest], similar, apart[-1])]


def show(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    for row in (headings, ["---"] * len(headings), *rows):
        print("| " + " | ".join(row) + " |")
    print()


def main(share: float) -> None:
    """Print all tables."""
    grid, total = published_grid()
    columns = ["Runs", "GPU-hours", "All settings", "The others", "Ranks", "Verdicts", "Distance"]
    print(f"study=paper: {total:,.0f} GPU-hours\n")
    shares = (0.01, 0.02, 0.03, 0.05, 0.1)
    show(["Bound", *columns], [[f"{one:.0%}", *line(grid, choose(grid, one * total), total)] for one in shares])
    bound = share * total
    study = choose(grid, bound)
    show([f"Within {share:g}", *columns], list(beside(grid, study, bound, total)))
    show(["Verdicts", "All settings", "The study"], list(lost(grid, study)))
    distances = np.array(list(without_one(grid, bound)))
    headings = ["Left out", "Chosen", "Cheapest datasets", "Mean of its cost", "All eleven"]
    rows = [[name, *(f"{each:.2f}" for each in one)] for name, one in zip(grid.datasets, distances, strict=True)]
    rows.append(["mean", *(f"{each:.2f}" for each in distances.mean(axis=0))])
    nearer = (distances[:, [0]] < distances).sum(axis=0)
    show(headings, [*rows, ["the chosen one is nearer", "", *(str(count) for count in nearer[1:])]])


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.05)
