"""study=core: the rule that chose it on a small example by hand, and that the study is what the rule chooses."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reinit_bench.analysis.frame import paper
from reinit_bench.cli.compose import Composer

SCRIPT = Path(__file__).parents[2] / "results" / "paper_conclusions" / "core_study.py"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_the_nearest_study_within_the_bound_is_chosen(script: dict[str, Any]) -> None:
    """Two architectures, one of them costly; in dataset A the second method is better, in B the first one."""
    accuracies = np.array([[[1.0, 2.0]], [[2.0, 1.0]]])
    hours = {"cheap": np.array([1.0, 1.0]), "costly": np.array([10.0, 5.0])}
    grid = script["Grid"](("A", "B"), dict.fromkeys(hours, accuracies), hours)
    assert grid.blocks[:, :, 0].tolist() == [[False, True], [True, False], [True, True]]
    assert (grid.cost(()).tolist(), grid.cost(("cheap",)).tolist()) == ([6, 11, 17], [7, 12, 17])
    assert grid.distance((), grid).tolist() == [[0.5, 0.5, 0], [0, 0, 0]]
    assert grid.distance(("cheap",), grid.only([1]))[0].tolist() == [0.25, 0.75, 0.5]
    assert [script["choose"](grid, bound) for bound in (6, 7, 17)] == [((), 0), (("cheap",), 0), ((), 2)]
    with pytest.raises(ValueError, match="no study costs 5 GPU-hours or less"):
        script["choose"](grid, 5)


def test_six_wins_of_six_are_a_verdict_and_five_of_five_are_none(script: dict[str, Any]) -> None:
    better = np.array([[1.0, 2.0]] * 6 + [[np.nan, 2.0], [1.0, 1.0]])
    blocks = np.array([[True] * 8, [False] + [True] * 7])  # 2 / 2^6 = 0.03; 2 / 2^5 = 0.06
    assert script["verdicts"](better, blocks).tolist() == [[1], [0]]


@pytest.mark.slow
def test_the_study_is_what_the_rule_chooses(script: dict[str, Any], hydra_composer: Composer) -> None:
    grid, total = script["published_grid"]()
    study = script["choose"](grid, 0.05 * total)
    chosen = {
        (model, grid.datasets[dataset], *paper.CONDITIONS[script["CONDITIONS"][condition]].settings.values(), method)
        for model in grid.ranks
        for dataset, condition in np.argwhere(grid.blocks[-1 if model in study.whole else study.block])
        for method in paper.LETTERS
    }
    planned = [one.experiment for one in hydra_composer.planned(hydra_composer.jobs(["study=core"]))]
    runs = {
        (
            *(run.model["name"], run.dataset["_label_"], run.augmentation["name"], run.dropout["rate"]),
            *(run.initializer["name"], run.method["name"]),
        )
        for run in planned
    }
    assert (runs, len(planned)) == (chosen, len(chosen))
