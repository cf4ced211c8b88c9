"""Sequential studies: tuning that may grow its grids and its steps, looks that go on until there is a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reinit_bench.analysis.stats.tuning import DIVERGED
from reinit_bench.core.conf_dir import option_section
from reinit_bench.core.config import seal
from reinit_bench.core.settings import ConfigError
from reinit_bench.sweep.looks import looks
from reinit_bench.sweep.studies import Study
from reinit_bench.sweep.trials import Found, Point

RULE = {
    "contrasts": [["lw", "bl"], ["lw", "restart"]],
    "looks": [4, 8],
    "boundaries": [2.797, 1.977],
    "margin": 0.3,
    "families": [{"dataset": "a"}, {"dataset": "b"}],
}
GRID = {
    "dataset": ["a", "b"],
    "dataset.split_seed": {"same_as": "seed"},
    "method": ["bl", "lw", "restart"],
    "trainer.lr": {"tune": [0.01, 0.03, 0.1], "grow": [0.003, 0.3]},
    "trainer.max_steps": {"least": [10, 20], "train_accuracy": 0.99},
}
ResultOf = Callable[[Point], Found | None]


def study(**changes: Any) -> Study:
    section = {"name": "mine", "tuning_seeds": [100, 101], "grids": [GRID], "sequential": RULE, **changes}
    return Study.from_dict(section, lambda name: {})


def known(result_of: ResultOf, guess: Any = None, **changes: Any) -> tuple[list[Point], bool]:
    mine = study(**changes)
    assert mine.rule is not None
    return looks(mine.points(), mine.rule, mine.tuning_seeds, result_of, guess)


def chosen(points: list[Point], dataset: str = "a") -> set[tuple[Any, ...]]:
    """Method, rate and steps of the runs that are no trials."""
    own = [point for point in points if point["dataset"] == dataset and point["seed"] < 100]
    return {(point["method"], point["trainer.lr"], point["trainer.max_steps"]) for point in own}


def seeds(points: list[Point], dataset: str) -> int:
    return len({point["seed"] for point in points if point["dataset"] == dataset and point["seed"] < 100})


def trial(point: Point, **best: float) -> Found | None:
    """A trial that has learned its labels and is the better the nearer its rate is to the best; None of other runs."""
    if point["seed"] < 100:
        return None
    return Found(-abs(point["trainer.lr"] - best.get(point["method"], 0.03)), 1.0, 0.5)


def test_the_first_familys_trials_are_all_that_is_known_at_first() -> None:
    points, is_open = known(lambda point: None)
    assert is_open
    assert len(points) == 3 * 3 * 2
    assert {(point["dataset"], point["trainer.max_steps"], point["seed"]) for point in points} == {
        ("a", 10, 100),
        ("a", 10, 101),
    }


def test_the_grid_grows_at_the_end_where_a_best_lies_for_all_arms_alike_and_once() -> None:
    points, _ = known(lambda point: trial(point, lw=1.0) if point["trainer.lr"] <= 0.1 else None)
    assert {point["method"] for point in points if point["trainer.lr"] == 0.3} == {"bl", "lw", "restart"}
    assert not [point for point in points if point["trainer.lr"] == 0.003 or point["seed"] < 100]
    points, _ = known(lambda point: trial(point, lw=1.0))
    assert chosen(points) == {("bl", 0.03, 10), ("lw", 0.3, 10), ("restart", 0.03, 10)}


def test_a_diverged_trial_is_the_worst_and_does_not_run_again() -> None:
    def result_of(point: Point) -> Found | None:
        has_diverged = point["method"] == "lw" and point["trainer.lr"] == 0.03 and point["seed"] == 101
        return Found(DIVERGED) if has_diverged else trial(point)

    points, _ = known(result_of)
    assert chosen(points) == {("bl", 0.03, 10), ("lw", 0.01, 10), ("restart", 0.03, 10)}
    assert len([point for point in points if point["seed"] >= 100]) == 3 * 4 * 2 - 1


@pytest.mark.parametrize(("learned", "steps"), [({"lw": (1.0, 0.98)}, 10), ({"lw": (0.98, 0.99)}, 20)])
def test_steps_are_the_least_at_which_every_arm_learns_its_labels_on_average(
    learned: dict[str, tuple[float, float]], steps: int
) -> None:
    def result_of(point: Point) -> Found | None:
        found = trial(point)
        if found is None or point["trainer.max_steps"] == 20:
            return found and found._replace(train=0.5)  # the last number of steps is taken whatever it comes to
        return found._replace(train=learned.get(point["method"], (1.0, 1.0))[point["seed"] - 100])

    points, _ = known(result_of)
    assert {taken for _, _, taken in chosen(points)} == {steps}


def after_tuning(**differences: Callable[[int], float]) -> ResultOf:
    """All trials have ended; LW's accuracy of each seed above that of both others, in points, by dataset."""

    def result_of(point: Point) -> Found | None:
        found = trial(point)
        if found is None:
            more = differences[point["dataset"]](point["seed"]) / 100 if point["method"] == "lw" else 0.0
            found = Found(0.5, 1.0, 0.8 + more)
        return found

    return result_of


def test_a_setting_ends_with_its_words_and_the_next_family_begins() -> None:
    clear, noise = (lambda seed: 2 + 0.1 * seed), (lambda seed: 3 * (-1) ** seed)
    points, is_open = known(after_tuning(a=clear, b=noise))
    assert (seeds(points, "a"), seeds(points, "b"), is_open) == (4, 8, False)


def test_a_look_waits_for_all_seeds_of_all_settings_of_its_family() -> None:
    noise = after_tuning(a=lambda seed: 3 * (-1) ** seed, b=lambda seed: 0.0)
    points, is_open = known(lambda point: None if point["seed"] == 3 else noise(point))
    assert (seeds(points, "a"), is_open) == (4, True)
    assert not [point for point in points if point["dataset"] == "b"]
    points, is_open = known(lambda point: None if point["seed"] == 4 else noise(point))
    assert (seeds(points, "a"), is_open) == (8, True)


def test_least_and_most_are_what_is_counted_by_hand() -> None:
    assert len(known(lambda point: None, "least")[0]) == 2 * 3 * (3 * 2 + 4)
    assert len(known(lambda point: None, "most")[0]) == 2 * 3 * (2 * 5 * 2 + 8)


def test_the_better_of_two_by_validation_is_the_one_to_beat() -> None:
    rule = {**RULE, "contrasts": [["lw", ["bl", "restart"]]]}

    def result_of(point: Point) -> Found | None:
        found = trial(point)
        if found is None:
            # Against the restarts, the better by validation, differences are noise; against BL they are clear.
            test = {"bl": 0.5, "lw": 0.8, "restart": 0.8 + 0.03 * (-1) ** point["seed"]}
            return Found(0.5, 1.0, test[point["method"]])
        return found._replace(validation=found.validation + (point["method"] == "restart"))

    assert seeds(known(result_of, sequential=rule)[0], "a") == 8


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sequential": {**RULE, "boundaries": [2.0, 2.0]}}, r"boundaries of these looks at 0.05 are \[2.797, 1.977\]"),
        ({"sequential": {"looks": [4]}}, "sequential must have contrasts, looks, boundaries, margin"),
        ({"sequential": {**RULE, "looks": [8, 4]}}, r"ascending numbers of seeds from 2; got \[8, 4\]"),
        ({"grids": [{**GRID, "seed": [0]}]}, "its looks say which seeds it has"),
        ({"tuning_seeds": [7]}, "tuning_seeds must be from 8 on"),
        (
            {"grids": [{**GRID, "trainer.lr": {"tune": [1], "grow": [2]}}]},
            "grow must be the two values beyond the ends",
        ),
    ],
)
def test_a_malformed_rule_says_what_is_wrong(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=f"^study mine: .*{words}"):
        study(**changes)


def test_a_setting_without_family_or_contrast_is_refused() -> None:
    with pytest.raises(ConfigError, match="none of them has the setting"):
        known(lambda point: None, sequential={**RULE, "families": [{"dataset": "a"}]})
    with pytest.raises(ConfigError, match="none of them is of the arms bl, lw, restart"):
        known(trial, sequential={**RULE, "contrasts": [["fc", "bl"]]})


def test_a_sealed_study_is_changed_by_no_axis_and_its_hash_by_all_but_comments() -> None:
    mine = study(analysis="The mean.")
    mine.points({"results_dir": ["x"], "logger": ["none"]})
    with pytest.raises(ConfigError, match=r"study mine is sealed by its analysis: trainer\.lr cannot be changed"):
        mine.points({"trainer.lr": [0.1]})
    section = {"name": "mine", "analysis": "The\nmean.", "grids": [{"trainer.lr": [1e-5]}]}
    assert seal(section) == seal({**section, "analysis": "The mean.", "grids": [{"trainer.lr": ["1e-5"]}]})
    assert seal(section) != seal({**section, "analysis": "The median."})
    assert seal({"name": "mine", "grids": []}) is None


def test_hydra_and_a_plain_reader_of_the_file_find_the_same_hash(hydra_composer: Any) -> None:
    assert seal(option_section("study", "verdict") or {}) == seal(hydra_composer.compose(["study=verdict"])["study"])
