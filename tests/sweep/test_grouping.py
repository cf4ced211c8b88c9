"""Runs by dataset, model and the conditions that vary."""

from __future__ import annotations

from factories import tiny_experiment

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.sweep.grouping import MOST_GROUPS, grouped
from reinit_bench.sweep.plan import PlannedRun


def run(*overrides: str) -> PlannedRun:
    return PlannedRun(experiment=tiny_experiment(*overrides), execution=Execution(device="cpu"))


def test_only_what_varies_and_is_not_as_usual_is_said() -> None:
    noisy, adamw = "dataset.label_noise=0.2", "trainer.optimizer=adamw"
    runs = [run("seed=0"), run("seed=1"), run(noisy), run(noisy, adamw), run(noisy, "dataset.growth=[0.1,1]")]
    names, groups = grouped(runs)
    assert names == ("dataset", "model", "conditions")
    assert {key: len(members) for key, members in groups.items()} == {
        ("digits", "scnn", ""): 2,
        ("digits", "scnn", "dataset.label_noise=0.2"): 1,
        ("digits", "scnn", "dataset.label_noise=0.2 trainer.optimizer=adamw"): 1,
        ("digits", "scnn", "dataset.label_noise=0.2 dataset.growth=[0.1,1]"): 1,
    }


def test_a_condition_that_all_share_is_not_said() -> None:
    noisy = "dataset.label_noise=0.2"
    _, groups = grouped([run(noisy), run(noisy, "augmentation=mild"), run(noisy, "dropout=p25")])
    assert [key[2] for key in groups] == ["", "augmentation=mild", "dropout=p25"]


def test_a_builder_is_said_only_where_the_datasets_name_does_not() -> None:
    fields = ("image_size=32", "dataset.train_examples=60")
    datasets = [run(f"dataset={name}", *fields) for name in ("cifar10", "cmaterdb")]
    assert grouped(datasets)[0] == ("dataset", "model")
    mine = run("dataset=cifar10", "dataset.name=mine", *fields)
    assert [key[2] for key in grouped([datasets[1], mine])[1]] == ["", "dataset.builder=cifar10"]


def test_methods_and_their_settings_and_seeds_are_no_conditions() -> None:
    names, groups = grouped([run("method=bl"), run("method=llf", "method.first_block=1"), run("seed=3")])
    assert names == ("dataset", "model")
    assert list(groups) == [("digits", "scnn")]


def test_a_configuration_from_before_a_field_was_there_stands_with_its_default() -> None:
    config = run().experiment.to_dict()
    for name in ("label_noise", "clean_validation", "imbalance", "growth"):
        del config["dataset"][name]
    del config["model"]["norm"]
    older = PlannedRun(experiment=Experiment.from_dict(config), execution=Execution())
    assert older.run_id == run().run_id
    assert grouped([older, run("seed=1")])[0] == ("dataset", "model")


def test_with_many_groups_conditions_are_left_out() -> None:
    runs = [run(f"dataset.label_noise={number / 100}") for number in range(MOST_GROUPS + 1)]
    assert grouped(runs)[0] == ("dataset", "model")
    assert grouped(runs[1:])[0] == ("dataset", "model", "conditions")
