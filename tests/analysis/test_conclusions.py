"""What conclusions are drawn from, mean ranks, gains and Figure 3's tree: against published examples and by hand."""

from dataclasses import replace
from itertools import product
from typing import Any

import pandas as pd
import pytest
from fake_runs import collection_of, fake_grid, fake_run, grid_rows

from reinit_bench.analysis.frame.collect import published_runs
from reinit_bench.analysis.stats import tree as trees
from reinit_bench.analysis.stats.mean_gains import mean_gains
from reinit_bench.analysis.stats.mean_ranks import critical_difference, rank, rankings
from reinit_bench.analysis.stats.scores import Scores, scores_by_setting
from reinit_bench.analysis.stats.tree import MIN_LEAF, Question, fit
from reinit_bench.analysis.tables.render.text import markdown
from reinit_bench.analysis.tables.table_gains import gains_table
from reinit_bench.analysis.tables.table_tree import tree_table


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


DEMSAR = {
    "a": "0.763 0.599 0.954 0.628 0.882 0.936 0.661 0.583 0.775 1.000 0.940 0.619 0.972 0.957",
    "m": "0.768 0.591 0.971 0.661 0.888 0.931 0.668 0.583 0.838 1.000 0.962 0.666 0.981 0.978",
    "cf": "0.771 0.590 0.968 0.654 0.886 0.916 0.609 0.563 0.866 1.000 0.965 0.614 0.9751 0.946",
    "both": "0.798 0.569 0.967 0.657 0.898 0.931 0.685 0.625 0.875 1.000 0.962 0.669 0.975 0.970",
}
"""Table 6 of Demsar (2006): AUC of C4.5, C4.5+m, C4.5+cf and C4.5+m+cf on 14 datasets; on the
last but one, he ranks two that print alike."""


def test_demsars_example() -> None:
    table = pd.DataFrame({name: map(float, values.split()) for name, values in DEMSAR.items()})
    found = rank(table, "trees", "dataset")
    mean_ranks = {name: round(mean, 3) for name, mean in found.mean_ranks.items()}
    assert mean_ranks == {"a": 3.143, "m": 2.000, "cf": 2.893, "both": 1.964}
    assert (found.n, round(found.critical_difference, 2)) == (14, 1.25)
    # Demsar's 9.28 has no correction for ties, scipy's has: three pairs and one tie of all four.
    assert found.statistic == pytest.approx(9.28 / (1 - (3 * 6 + 60) / (14 * 60)), abs=0.01)
    # Best and worst are 1.18 apart, less than the critical difference: he finds the test not powerful enough.
    assert found.groups() == [("both", "m", "cf", "a")]
    # With smaller differences groups overlap, and none lies within another.
    assert replace(found, critical_difference=1.0).groups() == [("both", "m", "cf"), ("cf", "a")]
    assert replace(found, critical_difference=0.01).groups() == []


def test_datasets_are_ranked_by_their_mean_and_settings_one_by_one() -> None:
    # On dataset A, lw wins one setting of six by far; on B all are tied.
    a = grid_rows(["A"], ["scnn"], {"bl": 50.0, "fc": 50.0, "lw": [80.0, *[49.0] * 5]})
    b = grid_rows(["B"], ["scnn"], {"bl": 10.0, "fc": 10.0, "lw": 10.0})
    over_datasets, over_settings = rankings(scores_by_setting(collection_of(a + b)))
    assert (over_datasets.unit, over_datasets.n) == ("dataset", 2)
    assert over_datasets.mean_ranks == {"bl": 2.25, "fc": 2.25, "lw": 1.5}
    assert (over_settings.unit, over_settings.n) == ("setting", 12)
    # On A: 1 in one setting and 3 in five; on B: 2 in six.
    assert over_settings.mean_ranks["lw"] == pytest.approx((1 + 5 * 3 + 6 * 2) / 12)
    assert over_settings.critical_difference == critical_difference(3, 12)


def test_all_tied_or_two_methods_have_no_friedman_test() -> None:
    tied = rankings(scores_by_setting(fake_grid(["A", "B"], ["scnn"], {"bl": 50.0, "fc": 50.0, "lw": 50.0})))
    assert [(one.p, set(one.mean_ranks.values())) for one in tied] == [(None, {2.0})] * 2
    (two,) = rankings(scores_by_setting(fake_grid(["A"], ["scnn"], {"bl": 50.0, "lw": 51.0})))
    # Ranks over one dataset would say nothing.
    assert (two.unit, two.p, two.mean_ranks) == ("setting", None, {"bl": 2.0, "lw": 1.0})


def test_the_interval_over_datasets_by_hand() -> None:
    # All three have 50,000 or 60,000 examples: the gains of LW are 1, 2 and 3 whatever the number of settings.
    gain = {"CIFAR10": 1.0, "CIFAR100": 2.0, "CIFAR10-COR": 3.0}
    rows = [
        fake_run(dataset, "scnn", method, 50.0 + (method == "lw") * more, initializer=initializer)
        for (dataset, more), method, initializer in product(gain.items(), ("bl", "lw"), ("he_normal", "xavier_uniform"))
        if (dataset, initializer) != ("CIFAR10", "xavier_uniform")
    ]
    (one,) = mean_gains(scores_by_setting(collection_of(rows)))
    assert (one.model, one.sizes, list(one.gains)) == ("scnn", (50_000, 50_000), ["lw"])
    lw = one.gains["lw"]
    # The t-distribution's 97.5% quantile with two degrees of freedom is 4.303; the standard deviation is 1.
    expected = ("dataset", 3, pytest.approx(2.0), pytest.approx(4.303 / 3**0.5, abs=1e-3))
    assert (lw.unit, lw.n, lw.value, lw.margin) == expected


def test_the_gains_table() -> None:
    rows = [
        fake_run("DIGITS", "scnn", method, 80.0 + extra + number, train_examples=examples, initializer=initializer)
        for examples, more in ((50, 4.0), (200, -1.0))
        for method, extra in (("bl", 0.0), ("fc", 0.02), ("lw", more))
        for number, initializer in enumerate(("he_normal", "xavier_uniform"))
        if (method, examples, number) != ("fc", 200, 1)
    ]
    text = markdown(gains_table(collection_of(rows)))
    assert text.splitlines()[2:6] == [
        "| Architecture | Training examples | Over | FC | LW |",
        "| :-- | :-- | :-- | --: | --: |",
        "| scnn | 50 | 2 settings | +0.0 ± 0.0 | **+4.0 ± 0.0** |",
        "|  | 200 | 2 settings | **+0.0 (1)** | -1.0 ± 0.0 |",
    ]
    unknown = gains_table(collection_of([fake_run("MINE", "scnn", method, 50.0) for method in ("bl", "lw")]))
    assert "left out: 1 settings whose training-set size is not known" in unknown.notes


@pytest.fixture(autouse=True)
def one_draw_of_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten draws take their time and change nothing here."""
    monkeypatch.setattr(trees, "REPEATS", 1)


def test_leaves_are_no_smaller_than_the_papers_where_settings_are_entered_twice() -> None:
    tree = fit(scores_by_setting(published_runs()))
    assert tree is not None
    assert (tree.n, tree.ties, min(leaf.n for _, leaf in tree.root.leaves())) == (127, 11, MIN_LEAF)
    assert tree.root.question == Question(feature="architecture resnet50", threshold=0.5, flag=True)
    # The paper's text: LW everywhere but with ResNet50 and large training sets. More than half of a leaf is named.
    assert ("lw", "dsd") in [leaf.top for path, leaf in tree.root.leaves() if path[0] == "architecture resnet50? yes"]


def test_the_trees_table() -> None:
    datasets = ("CIFAR10", "CIFAR100", "BIRDS2010")
    scnn = grid_rows(datasets, ["scnn"], {"bl": 50.0, "lw": 60.0})
    table = tree_table(collection_of(scnn + grid_rows(datasets, ["resnet50"], {"bl": 60.0, "lw": 50.0})))
    assert {row.headings[1] for row in table.rows} == {"18"}
    assert sorted(tuple(cell.text for cell in row.cells) for row in table.rows) == [
        ("0%", "100%", "0.00"),
        ("100%", "0%", "0.00"),
    ]
    assert list(table.data.columns) == ["leaf", "n", "gini", "top", "bl", "lw"]
    said = "in datasets (one left out) not fitted to: 100.0%, and always naming the most frequent one: 50.0%"
    assert any(said in note for note in table.notes)
    assert tree_table(collection_of([])).notes == ("fewer than 14 settings in which all methods have finished",)
