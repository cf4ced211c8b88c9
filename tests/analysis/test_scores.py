"""What the conclusions are drawn from: which runs make a setting, which are averaged, which are left out."""

from typing import Any

from fake_runs import collection_of, fake_run

from reinit_bench.analysis.frame.collect import collect, published_runs
from reinit_bench.analysis.stats.scores import Scores, scores_by_setting


def values(found: Scores, *columns: str) -> list[tuple[Any, ...]]:
    table = found.frame[list(columns)].astype(object)
    return [tuple(row) for row in table.where(table.notna(), None).itertuples(index=False, name=None)]


def test_seeds_are_averaged_within_a_setting_and_never_count_twice() -> None:
    rows = [fake_run("CIFAR10", "scnn", "bl", percent, seed=seed) for seed, percent in enumerate((70.0, 71.0, 73.5))]
    found = scores_by_setting(collection_of([*rows, fake_run("CIFAR10", "scnn", "lw", 80.0)]))
    assert values(found, "dataset", "examples", "classes", "model", "bl", "lw") == [
        ("CIFAR10", 50_000, 10, "scnn", 71.5, 80.0)
    ]
    assert found.methods == {"bl": "BL", "lw": "LW"}
    assert found.left_out == ()


def test_conditions_and_initializers_are_settings_of_their_own_and_those_of_figure_2_alone_are_none() -> None:
    choices = [
        {},
        {"initializer": "xavier_uniform"},
        {"augmentation": "mild"},
        {"augmentation": "mild", "dropout_rate": 0.25},
        {"augmentation": "mild", "dropout_rate": 0.5},
        {"initializer": "zeros"},
    ]
    collection = collection_of(
        [fake_run("CIFAR10", "vgg16", "bl", 50.0 + index, **one) for index, one in enumerate(choices)]
    )
    assert sorted(scores_by_setting(collection).frame["bl"]) == [50, 51, 52, 53]
    assert sorted(scores_by_setting(collection, every_setting=True).frame["bl"]) == [50, 51, 52, 53, 54, 55]


def test_other_hyperparameters_give_way_to_the_papers_and_stand_where_the_papers_were_not_run() -> None:
    rows = [
        fake_run("CIFAR10", "vgg16", "bl", 60.0),
        fake_run("CIFAR10", "vgg16", "bl", 70.0, trainer__lr=0.01),
        fake_run("CIFAR100", "vgg16", "bl", 30.0, trainer__lr=0.01),
    ]
    found = scores_by_setting(collection_of(rows))
    assert values(found, "dataset", "bl") == [("CIFAR10", 60.0), ("CIFAR100", 30.0)]
    assert found.left_out == (
        "left out: 1 settings farther from the paper's than another of the same design (Figure 2's)",
    )
    assert len(scores_by_setting(collection_of(rows), every_setting=True).frame) == 3


def test_lw_without_one_of_its_parts_is_not_lw() -> None:
    rows = [fake_run("CIFAR10", "vgg16", "lw", 80.0), fake_run("CIFAR10", "vgg16", "lw", 99.0, method__rescale=False)]
    assert values(scores_by_setting(collection_of(rows)), "lw") == [(80.0,)]
    assert scores_by_setting(collection_of(rows[1:])).frame.empty


def test_of_a_methods_variants_the_default_counts_and_two_others_are_not_averaged() -> None:
    default, half, tenth = (
        fake_run("CIFAR10", "vgg16", "dsd", percent, method__fraction=fraction)
        for percent, fraction in ((50.0, 0.2), (60.0, 0.5), (70.0, 0.1))
    )
    assert values(scores_by_setting(collection_of([half, default, tenth])), "dsd") == [(50.0,)]
    alone = scores_by_setting(collection_of([half]))
    assert alone.methods == {"dsd fraction=0.5": "dsd fraction=0.5"}, "it is another method"
    assert values(alone, "dsd fraction=0.5") == [(60.0,)]
    baseline = fake_run("CIFAR10", "vgg16", "bl", 40.0)
    found = scores_by_setting(collection_of([baseline, half, tenth]))
    assert values(found, "bl") == [(40.0,)]
    assert (
        "left out: 1 times a method with several variants of its settings, none nearest its defaults" in found.left_out
    )


def test_a_variant_without_a_setting_counts_as_its_default() -> None:
    """A run that is older than the field, or whose file leaves it out, has the value that the field's absence meant."""
    old = fake_run("CIFAR10", "vgg16", "dsd", 50.0, method__fraction=None)
    half = fake_run("CIFAR10", "vgg16", "dsd", 60.0, method__fraction=0.5)
    found = scores_by_setting(collection_of([half, old]))
    assert (values(found, "dsd"), found.left_out) == ([(50.0,)], ())


def test_a_cut_training_set_is_a_dataset_of_its_own_size_and_unknown_ones_have_none() -> None:
    rows = [
        fake_run("DIGITS", "scnn", "bl", 90.0, train_examples=200),
        fake_run("DIGITS", "scnn", "bl", 95.0),
        fake_run("MINE", "scnn", "bl", 10.0),
    ]
    assert values(scores_by_setting(collection_of(rows)), "dataset", "examples", "classes") == [
        ("DIGITS", 1297, 10),
        ("DIGITS (200)", 200, 10),
        ("MINE", None, None),
    ]


def test_a_method_that_was_only_tried_out_takes_no_settings_away() -> None:
    rows = [fake_run(dataset, "scnn", method, 50.0) for dataset in ("A", "B", "C") for method in ("bl", "lw")]
    found = scores_by_setting(collection_of([*rows, fake_run("A", "scnn", "mine", 60.0)]))
    assert list(found.methods) == ["bl", "lw", "mine"]
    assert len(found.complete) == 1
    common = found.common()
    assert (list(common.methods), len(common.complete)) == (["bl", "lw"], 3)
    assert common.left_out == ("left out: MINE, which has runs in few settings only",)


def test_the_published_numbers_are_settings_too() -> None:
    found = scores_by_setting(published_runs())
    assert list(found.methods) == ["bl", "welsr", "dsd", "wels", "fc", "lw"]
    assert (len(found.frame), len(found.complete)) == (144, 127)
    assert int(found.frame[list(found.methods)].isna().sum().sum()) == 36
    row = found.frame.query("dataset == 'CASSAVA' and model == 'mobilenet' and dropout_rate == 0.25").iloc[0]
    assert (row["examples"], row["classes"], row["augmentation"], row["lw"]) == (5656, 4, "mild", 80.5)


def test_an_empty_store_has_no_settings(tmp_path: Any) -> None:
    found = scores_by_setting(collect(tmp_path))
    assert found.frame.empty
    assert found.methods == {}


def test_runs_of_the_store_become_the_same_settings(fake_store: Any) -> None:
    for seed in (0, 1):
        fake_store.add("cifar10", "scnn", "bl", 0.5 + seed / 10, seed=seed)
    fake_store.add("cifar10", "scnn", "lw", 0.7, augmentation__name="none")
    assert values(scores_by_setting(collect(fake_store.results_dir)), "augmentation", "bl", "lw") == [
        ("mild", 55.0, None),
        ("none", None, 70.0),
    ]
