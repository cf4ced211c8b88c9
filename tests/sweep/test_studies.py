"""Studies: how many runs each has, what unions, exclusions and the command line do, and errors in malformed ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from factories import write_result

from reinit_bench.analysis.frame.collect import collect
from reinit_bench.analysis.synthetic.table_1 import signal_table
from reinit_bench.cli.commands.report import _datasets
from reinit_bench.core.conf_dir import conf_dir
from reinit_bench.core.settings import ConfigError
from reinit_bench.sweep.plan import Plan
from reinit_bench.sweep.studies import Study, overrides_of
from reinit_bench.sweep.trials import tuned

COUNTS = {
    "table2": 288,
    "table6": 288,
    "table7": 288,
    "table3": 1728,
    "figure2": 768,
    "core": 552,
    "paper": 2448,
    "figure4": 144,
    "figure9": 1728,
    "appendix_g": 2016,
    "figure8": 3,
    "ablation": 18,
    "batchnorm": 288,
    "batchnorm_digits": 72,
    "verdict": 135,  # the first family's trials; the rest waits for them
    "verdict_pilot": 8424,
    "verdict_fraction": 444,
    "verdict_rounds": 57,
    "rows": 144,
    "warm_start": 27,  # trials
    "growing": 27,
    "class_incremental": 27,
    "ablation_synthetic": 600,
    "digits": 216,
    "digits_budgets": 90,
    "ablation_digits": 72,
    "readings_digits": 235,
    "demo": 30,
}


def study(**section: Any) -> Study:
    others: dict[str, Mapping[str, Any]] = {
        "pair": {"name": "pair", "grids": [{"method": ["bl", "lw"], "dropout": ["none", "p25"]}]},
        "loop": {"name": "loop", "include": ["round"]},
        "round": {"name": "round", "include": ["loop"]},
    }
    return Study.from_dict({"name": "mine", **section}, others.__getitem__)


@pytest.mark.parametrize(
    ("name", "count"),
    [pytest.param(*item, marks=pytest.mark.slow if item[1] > 5000 else []) for item in COUNTS.items()],
)
def test_a_study_has_the_stated_number_of_distinct_runs(plan_of, name, count):
    assert len(plan_of(f"study={name}").runs) == count


@pytest.mark.parametrize("name", ["demo", "table1", "figure9", "readings"])
def test_a_studys_datasets_are_told_without_composing_its_runs(hydra_composer, plan_of, name):
    found = _datasets(hydra_composer.study_of([f"study={name}"]).points(), "digits")
    assert found == {run.experiment.dataset["name"] for run in plan_of(f"study={name}").runs}
    assert _datasets([{"dataset": "tfds", "dataset.builder": "kmnist"}], "digits") == {None}


def test_figure_4_is_figure_9s_part_for_the_pets_and_appendix_g_adds_table_2(plan_of):
    runs = {name: {run.run_id for run in plan_of(f"study={name}").runs} for name in ("figure9", "table2", "appendix_g")}
    pets = {run.run_id for run in plan_of("study=figure4").runs}
    assert pets == {run.run_id for run in plan_of("study=figure9", "dataset=oxford_iiit_pet").runs}
    assert pets < runs["figure9"]
    assert runs["appendix_g"] == runs["figure9"] | runs["table2"]
    assert all(run.execution.diagnostics for run in plan_of("study=appendix_g", "dataset=cassava").runs)


def test_a_study_file_states_its_own_name_and_command():
    files = list((conf_dir() / "study").glob("*.yaml"))
    assert {file.stem for file in files} >= {*COUNTS, "none"}
    for file in files:
        text = file.read_text()
        assert f"name: {'null' if file.stem == 'none' else file.stem}\n" in text
        assert file.stem == "none" or f"reinit-bench -m study={file.stem}" in text


def test_table3_is_the_three_tables_with_both_initializers(plan_of):
    runs = plan_of("study=table3").runs
    conditions = Counter((r.experiment.augmentation["name"], r.experiment.dropout["rate"]) for r in runs)
    assert conditions == {("mild", 0.0): 576, ("none", 0.0): 576, ("mild", 0.25): 576}
    assert Counter(r.experiment.initializer["name"] for r in runs) == {"he_normal": 864, "xavier_uniform": 864}


def test_figure_2_shares_48_runs_with_the_tables(plan_of):
    ids = {name: {run.run_id for run in plan_of(f"study={name}").runs} for name in ("table3", "figure2")}
    assert len(ids["table3"] & ids["figure2"]) == 48


def test_included_points_come_first_and_keep_their_own_exclusions():
    mine = study(include=["pair"], grids=[{"method": "fc"}], exclude=[{"method": "bl", "dropout": "p25"}])
    assert mine.points() == [
        {"method": "bl", "dropout": "none"},
        {"method": "lw", "dropout": "none"},
        {"method": "lw", "dropout": "p25"},
        {"method": "fc"},
    ]


@pytest.mark.parametrize("rule", [{"method": "bll"}, {"methd": "bl"}, {"seed": 0}, {"method": "bl", "dropout": "p50"}])
def test_an_exclusion_that_leaves_nothing_out_is_refused(rule):
    mine = study(grids=[{"method": ["bl", "lw"], "dropout": ["none", "p25"]}], exclude=[{"method": "bl"}, rule])
    with pytest.raises(
        ConfigError, match=r"study mine: exclude .* leaves nothing out: .* \(its axes are dropout, method"
    ):
        mine.points()


def test_an_exclusion_may_be_about_what_the_command_line_adds_or_takes_away():
    mine = study(grids=[{"method": ["bl", "lw"]}], exclude=[{"method": "bl"}])
    assert mine.points({"method": ["lw", "fc"]}) == [{"method": "lw"}, {"method": "fc"}]
    later = study(grids=[{"method": "bl"}], exclude=[{"seed": 3}])
    assert len(later.points({"seed": [2, 3]})) == 1


def test_axes_replace_those_of_included_grids_and_yield_to_the_command_line():
    mine = study(include=["pair"], axes={"dropout": "p50", "seed": [1, 2]})
    assert mine.points({"method": ["lw"], "seed": [7]}) == [{"method": "lw", "dropout": "p50", "seed": 7}]


def test_a_point_that_two_grids_share_is_one_point():
    assert len(study(grids=[{"seed": [0, 1]}, {"seed": [1, 2]}]).points()) == 3


def test_an_axis_follows_another_with_the_command_lines_values_too():
    mine = study(grids=[{"seed": [3, 4], "dataset.split_seed": {"same_as": "seed"}}])
    assert overrides_of(mine.points()) == [["seed=3", "dataset.split_seed=3"], ["seed=4", "dataset.split_seed=4"]]
    assert overrides_of(mine.points({"seed": [9]})) == [["seed=9", "dataset.split_seed=9"]]
    assert overrides_of(mine.points({"dataset.split_seed": [0]}))[0] == ["seed=3", "dataset.split_seed=0"]


def test_a_trial_has_the_split_of_its_own_seed():
    grid = {"seed": [0, 1], "dataset.split_seed": {"same_as": "seed"}, "trainer.lr": {"tune": [0.1, 0.2]}}
    mine = study(grids=[grid], tuning_seeds=[100])
    trials = tuned(mine.points(), lambda trial: None).points
    assert [words[-1] for words in overrides_of(trials)] == ["trainer.lr=0.1", "trainer.lr=0.2"]
    assert all("dataset.split_seed=100" in words and "seed=100" in words for words in overrides_of(trials))


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"grid": []}, "unknown key 'grid'; allowed are name, include, axes, grids, exclude"),
        ({"grids": {"seed": 1}}, "grids must be a list of mappings"),
        ({"grids": ["seed"]}, "grids must be a list of mappings"),
        ({"grids": [{"seed": []}]}, "axis 'seed' has no values"),
        ({"grids": [{"trainer": {"lr": 1}}]}, "axis 'trainer' must have plain values; write a field as trainer.FIELD"),
        ({"exclude": [3]}, "exclude must be a list of mappings"),
        ({"include": "table2"}, "include must be a list of names"),
        ({"grids": []}, "study mine has no grids: it needs some, or studies to include"),
        ({}, "study mine has no grids"),
        ({"axes": ["seed"]}, "axes must map an axis to values"),
        (
            {"grids": [{"dataset.split_seed": {"same_as": "seed"}}]},
            "dataset.split_seed is the same as 'seed', which must be an axis of plain values in every grid",
        ),
        ({"include": ["loop"]}, "it includes itself (mine -> loop -> round -> loop)"),
    ],
)
def test_a_malformed_study_says_what_is_wrong(section, words):
    with pytest.raises(ConfigError, match="study ") as caught:
        study(**section).points()
    assert words in str(caught.value)


def test_table_1_takes_every_run_of_its_study_and_no_other_interpretation(
    plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    study = [run.experiment for run in plan_of("study=table1", "seed=0").runs]
    others = [run.experiment for run in plan_of("study=readings", "seed=0").runs]
    assert (len(study), len(others)) == (18, 75)
    for experiment in {other.run_id: other for other in [*study, *others]}.values():
        write_result(tmp_path, experiment, test_accuracy=0.5)
    table = signal_table(collect(tmp_path))
    assert table.data["n"].tolist() == [1] * 18
    assert table.data["mean"].tolist() == [50.0] * 18
