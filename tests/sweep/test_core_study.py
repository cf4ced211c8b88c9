"""study=core: the rule that chose it on small examples by hand, and that the study is what the rule chooses."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reinit_bench.analysis.runs import paper
from reinit_bench.analysis.stats.mean_ranks import rank
from reinit_bench.analysis.stats.significance import compare
from reinit_bench.sweep.cost import GPU, Rates
from reinit_bench.sweep.plan import Plan
from reinit_bench.sweep.status import cost_left

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from core_study import SHARE, line, published_grid
from subsets import Conclusions, Grid, Study, choose, mean_ranks, verdicts

SCALE = Path(__file__).parents[2] / "docs" / "explanation" / "scale.md"
LOST = np.nan


@pytest.fixture(scope="module")
def published() -> tuple[Conclusions, float]:
    """What the blocks of the published tables say, and the GPU-hours of study=paper."""
    grid, total = published_grid()
    return Conclusions.of(grid), total


@pytest.fixture
def two_datasets() -> Conclusions:
    """Two architectures, one of them costly; in dataset A the second method is better, in B the first one."""
    accuracies = np.array([[[1.0, 2.0]], [[2.0, 1.0]]])
    hours = {"cheap": np.array([1.0, 1.0]), "costly": np.array([10.0, 5.0])}
    return Conclusions.of(Grid(("A", "B"), (2,), dict.fromkeys(hours, accuracies), hours))


def test_mean_ranks_by_hand_with_ties_and_a_lost_number() -> None:
    accuracies = np.array([[1, 2, 3], [5, 5, 1], [1, 1, LOST]])
    blocks = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 1], [0, 0, 1]], dtype=bool)
    expected = [[3, 2, 1], [1.5, 1.5, 3], [2.25, 1.75, 2], [LOST] * 3]
    np.testing.assert_array_equal(mean_ranks(accuracies, blocks), expected)


def test_six_wins_of_six_are_a_verdict_and_five_of_five_are_none() -> None:
    better = np.array([[1.0, 2.0]] * 6 + [[LOST, 2.0], [1.0, 1.0]])
    blocks = np.array([[True] * 8, [False] + [True] * 7])  # 2 / 2^6 = 0.03; 2 / 2^5 = 0.06
    assert verdicts(better, blocks).tolist() == [[1], [0]]
    assert verdicts(better[:, ::-1], blocks).tolist() == [[-1], [0]]


def test_distances_and_costs_by_hand(two_datasets: Conclusions) -> None:
    assert two_datasets.blocks[:, :, 0].tolist() == [[False, True], [True, False], [True, True]]
    assert two_datasets.cost(()).tolist() == [6, 11, 17]
    assert two_datasets.cost(("cheap",)).tolist() == [7, 12, 17]
    for whole, expected in (((), [0.5, 0.5, 0]), (("cheap",), [0.25, 0.25, 0])):
        ranks, marks = two_datasets.apart(whole, two_datasets)
        assert (ranks.tolist(), marks.tolist()) == (expected, [0, 0, 0])
    dataset_b = Conclusions.of(two_datasets.grid.only([1]))
    assert two_datasets.apart((), dataset_b)[0].tolist() == [0, 1, 0.5]
    assert two_datasets.apart(("cheap",), dataset_b)[0].tolist() == [0.25, 0.75, 0.5]


@pytest.mark.parametrize(("bound", "study"), [(6, Study((), 0)), (7, Study(("cheap",), 0)), (17, Study((), 2))])
def test_the_nearest_study_within_the_bound_is_chosen(two_datasets: Conclusions, bound: float, study: Study) -> None:
    assert choose(two_datasets, bound) == study


def test_a_bound_below_every_study_is_an_error(two_datasets: Conclusions) -> None:
    with pytest.raises(ValueError, match="no study costs 5 GPU-hours or less"):
        choose(two_datasets, 5)


@pytest.mark.parametrize("model", paper.MODELS)
def test_ranks_and_verdicts_are_those_of_the_tables(published: tuple[Conclusions, float], model: str) -> None:
    conclusions, _ = published
    methods = list(paper.LETTERS)
    frame = pd.DataFrame(conclusions.grid.accuracies[model].reshape(-1, len(methods)), columns=methods)
    assert conclusions.ranks[model][-1] == pytest.approx(
        list(rank(frame.dropna(), model, "setting").mean_ranks.values())
    )
    marked = {(pair.row, pair.column) for pair in compare(frame, methods) if pair.mark}
    expected = [((one, other) in marked) - ((other, one) in marked) for one, other in combinations(methods, 2)]
    assert conclusions.verdicts[model][-1].tolist() == expected


def test_the_study_is_what_the_rule_chooses(published: tuple[Conclusions, float], plan_of: Callable[..., Plan]) -> None:
    conclusions, total = published
    study = choose(conclusions, SHARE * total)
    chosen = set()
    for model in conclusions.ranks:
        block = conclusions.blocks[-1 if model in study.whole else study.place]
        for place, number in zip(*np.nonzero(block), strict=True):
            condition = paper.CONDITIONS[conclusions.grid.conditions[number]]
            label = conclusions.grid.datasets[place]
            chosen |= {(model, label, *condition.settings.values(), method) for method in paper.LETTERS}
    runs = [run.experiment for run in plan_of("study=core").runs]
    assert {
        (
            run.model["name"],
            run.dataset["_label_"],
            run.augmentation["name"],
            run.dropout["rate"],
            run.initializer["name"],
            run.method["name"],
        )
        for run in runs
    } == chosen
    assert len(runs) == len(chosen)


def test_it_is_a_part_of_the_papers_grid_for_a_twentieth_of_the_hours(plan_of: Callable[..., Plan]) -> None:
    core, whole = plan_of("study=core").runs, plan_of("study=paper").runs
    assert {run.run_id for run in core} < {run.run_id for run in whole}
    hours = [cost_left(runs, Rates({}, {})).hours[GPU] for runs in (core, whole)]
    assert hours[0] / hours[1] < SHARE


def test_the_page_has_the_chosen_study_as_it_is(published: tuple[Conclusions, float]) -> None:
    conclusions, total = published
    row = " | ".join(line(conclusions, choose(conclusions, SHARE * total), total))
    assert f"| 5% | {row} |" in SCALE.read_text()
