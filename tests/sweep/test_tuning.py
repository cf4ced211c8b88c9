"""Tuned studies: trials come first, each arm's best by validation is used for the reported seeds, and only that."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from sweep_command import SweepCommand

from reinit_bench.analysis.frame.collect import collect
from reinit_bench.analysis.stats.tuning import DIVERGED
from reinit_bench.cli.commands.report import _known_studies
from reinit_bench.core.conf_dir import own_config
from reinit_bench.core.settings import ConfigError
from reinit_bench.sweep.studies import Study
from reinit_bench.sweep.trials import Point, Tuned, tuned


def study(**section: Any) -> Study:
    return Study.from_dict({"name": "mine", **section}, lambda name: {})


GRID = {
    "method": ["bl", "lw"],
    "trainer.lr": {"tune": [0.1, 0.2]},
    "trainer.weight_decay": {"tune": [0, 1]},
    "seed": [0, 1, 2],
}


def resolved(accuracy_of: Callable[[Point], float | None], **changes: Any) -> Tuned:
    points = study(grids=[{**GRID, **changes}], tuning_seeds=[100, 101]).points()
    return tuned(points, accuracy_of)


def test_trials_are_all_that_is_known_at_first() -> None:
    found = resolved(lambda trial: None)
    assert (len(found.points), found.waiting) == (2 * 2 * 2 * 2, 6)
    assert found.points[:2] == [
        {"method": "bl", "trainer.lr": 0.1, "trainer.weight_decay": 0, "seed": 100},
        {"method": "bl", "trainer.lr": 0.1, "trainer.weight_decay": 0, "seed": 101},
    ]


def test_each_arm_takes_the_best_mean_over_the_tuning_seeds() -> None:
    def accuracy(trial: Point) -> float:
        # For LW the second rate is better on the mean although the first has the best single trial.
        if trial["method"] == "lw":
            return {0.1: {100: 1.0, 101: 0.0}, 0.2: {100: 0.6, 101: 0.6}}[trial["trainer.lr"]][trial["seed"]]
        return 0.5  # a tie: the earliest

    found = resolved(accuracy)
    assert found.waiting == 0
    assert found.points[16:] == [
        *({"method": "bl", "trainer.lr": 0.1, "trainer.weight_decay": 0, "seed": seed} for seed in range(3)),
        *({"method": "lw", "trainer.lr": 0.2, "trainer.weight_decay": 0, "seed": seed} for seed in range(3)),
    ]


def test_an_arm_whose_trials_have_ended_does_not_wait_for_the_others() -> None:
    found = resolved(lambda trial: None if trial["method"] == "lw" else 0.5)
    assert (found.waiting, len(found.points)) == (3, 16 + 3)


def test_values_from_the_command_line_are_not_tuned() -> None:
    points = study(grids=[GRID], tuning_seeds=[100]).points({"trainer.lr": [0.3], "seed": [7]})
    found = tuned(points, lambda trial: 0.5)
    assert [point["trainer.lr"] for point in found.points] == [0.3] * 6
    assert [point["seed"] for point in found.points] == [100, 100, 100, 100, 7, 7]


def test_a_diverged_trial_is_worse_than_any_and_does_not_run_again() -> None:
    found = resolved(lambda trial: 0.0 if trial["trainer.lr"] == 0.2 else DIVERGED)
    assert {(point["trainer.lr"], point["seed"]) for point in found.points} == {
        *((0.2, seed) for seed in (100, 101, 0, 1, 2)),
    }


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (
            {"grids": [GRID]},
            r"axis 'trainer.lr' is tuned, so tuning_seeds must be a list of seeds, e.g. \[100\]; got None",
        ),
        ({"grids": [GRID], "tuning_seeds": ["a"]}, r"must be a list of seeds, e.g. \[100\]; got \['a'\]"),
        ({"grids": [{"trainer.lr": {"tune": 0.1}}]}, "axis 'trainer.lr' must be tuned over a list of values; got 0.1"),
        ({"grids": [{"trainer.lr": {"try": [0.1]}}]}, "axis 'trainer.lr' must have plain values"),
        ({"grids": [{"seed": {"tune": [1]}}], "tuning_seeds": [1]}, "the seed cannot be tuned"),
        ({"grids": [{}], "exclude": [{"trainer.lr": {"tune": [0.1]}}]}, "axis 'trainer.lr' must have plain values"),
    ],
)
def test_a_malformed_tuning_says_what_is_wrong(section: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=f"^study mine: .*{words}"):
        study(**section)


def test_a_reported_seed_is_no_tuning_seed() -> None:
    with pytest.raises(ConfigError, match="seed 2 is one of its tuning_seeds, which choose the settings"):
        study(grids=[GRID], tuning_seeds=[2]).points()


TINY = {
    "dataset": "digits",
    "dataset.train_examples": 60,
    "dataset.validation_examples": 60,
    "model.width": 0.25,
    "image_size": 8,
    "trainer.max_steps": 4,
    "diagnostics": False,
    "logger": "none",
    "device": "cpu",
}


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A folder with a tuned study; at the second rate training diverges."""
    section = {
        "name": "mine",
        "tuning_seeds": [100],
        "grids": [{**TINY, "method": ["bl", "fc"], "trainer.lr": {"tune": [0.01, 1e30]}, "seed": [0, 1]}],
    }
    (tmp_path / "conf/study").mkdir(parents=True)
    (tmp_path / "conf/study/mine.yaml").write_text(yaml.safe_dump(section))
    return tmp_path / "conf"


@pytest.mark.slow
def test_one_command_tunes_and_goes_on_and_a_diverged_trial_is_never_chosen(conf: Path, tmp_path: Path) -> None:
    mine = SweepCommand(tmp_path / "results", "--config-dir", str(conf), "study=mine")
    assert "4 more runs follow when the trials have chosen their settings" in mine.subcommand("plan")
    printed = mine.run()
    assert re.findall(r"^\d runs: .*$", printed, re.MULTILINE) == ["4 runs: 4 missing", "6 runs: 2 done, 4 missing"]
    results = [json.loads(path.read_text()) for path in (tmp_path / "results/runs").glob("*/result.json")]
    reported = [one["config"] for one in results if one["config"]["seed"] != 100]
    assert sorted((one["method"]["name"], one["seed"], one["trainer"]["lr"]) for one in reported) == [
        *(("bl", seed, 0.01) for seed in (0, 1)),
        *(("fc", seed, 0.01) for seed in (0, 1)),
    ]
    assert "more run" not in mine.subcommand("plan")
    assert "6 runs: 6 done" in mine.run()
    with own_config(conf, None):
        (study,) = (one for one in _known_studies(tmp_path / "results", {"digits"}) if one.name == "mine")
    assert len(study.run_ids) == 6  # the report counts them: it reads the trials of the folder that it is about
    store = collect(tmp_path / "results")  # here the study's file is not known: the results say which were trials
    assert (set(store.trials["seed"]), set(store.frame["seed"])) == ({100}, {0, 1})
