"""Mean ranks and the critical difference against Demsar's published example; gains against intervals by hand."""

from itertools import product

import pandas as pd
import pytest
from fake_runs import collection_of, fake_grid, fake_run

from reinit_bench.analysis.frame.collect import published_runs
from reinit_bench.analysis.stats.mean_gains import mean_gains, size_groups
from reinit_bench.analysis.stats.mean_ranks import Ranking, critical_difference, nemenyi, rank, rankings, to_show
from reinit_bench.analysis.stats.scores import ALL, scores_by_setting
from reinit_bench.analysis.tables.render.text import markdown
from reinit_bench.analysis.tables.table_gains import gains_table
from reinit_bench.analysis.tables.table_ranks import ranks_table

DEMSAR = """
0.763 0.768 0.771 0.798
0.599 0.591 0.590 0.569
0.954 0.971 0.968 0.967
0.628 0.661 0.654 0.657
0.882 0.888 0.886 0.898
0.936 0.931 0.916 0.931
0.661 0.668 0.609 0.685
0.583 0.583 0.563 0.625
0.775 0.838 0.866 0.875
1.000 1.000 1.000 1.000
0.940 0.962 0.965 0.962
0.619 0.666 0.614 0.669
0.972 0.981 0.9751 0.975
0.957 0.978 0.946 0.970
"""
"""Table 6 of Demsar (2006): AUC of C4.5, C4.5+m, C4.5+cf and C4.5+m+cf on 14 datasets; on the
last but one, he ranks two that print alike."""


@pytest.mark.parametrize(("methods", "q"), [(2, 1.960), (4, 2.569), (6, 2.850), (10, 3.164)])
def test_critical_values_are_those_of_demsars_table_5(methods: int, q: float) -> None:
    assert nemenyi(methods) == pytest.approx(q, abs=0.0006)


def test_demsars_example() -> None:
    table = pd.DataFrame(
        [map(float, line.split()) for line in DEMSAR.split("\n")[1:-1]], columns=["a", "m", "cf", "both"]
    )
    found = rank(table, "trees", "dataset")
    assert {name: round(mean, 3) for name, mean in found.mean_ranks.items()} == {
        "a": 3.143,
        "m": 2.000,
        "cf": 2.893,
        "both": 1.964,
    }
    assert (found.n, round(found.critical_difference, 2)) == (14, 1.25)
    # Demsar's 9.28 has no correction for ties, scipy's has: three pairs and one tie of all four.
    assert found.statistic == pytest.approx(9.28 / (1 - (3 * 6 + 60) / (14 * 60)), abs=0.01)
    # Best and worst are 1.18 apart, less than the critical difference: he finds the test not powerful enough.
    assert found.groups() == [("both", "m", "cf", "a")]


def ranking(difference: float, **mean_ranks: float) -> Ranking:
    return Ranking(
        model="m", unit="dataset", n=9, mean_ranks=mean_ranks, statistic=None, p=None, critical_difference=difference
    )


def test_groups_are_maximal_and_overlap() -> None:
    assert ranking(1.0, a=1.0, b=1.8, c=2.5, d=4.0).groups() == [("a", "b"), ("b", "c")]
    assert ranking(3.5, a=1.0, b=1.8, c=2.5, d=4.0).groups() == [("a", "b", "c", "d")]
    assert ranking(0.5, a=1.0, b=1.8, c=2.5).groups() == []


def test_datasets_are_ranked_by_their_mean_and_settings_one_by_one() -> None:
    # On dataset A, lw wins one setting of six by far; on B all are tied.
    def percent(dataset: str, model: str, method: str, number: int) -> float:
        if dataset == "B":
            return 10.0
        return 50.0 + (method == "lw") * (30.0 if number == 0 else -1.0)

    over_datasets, over_settings = rankings(
        scores_by_setting(fake_grid(["A", "B"], ["scnn"], ["bl", "fc", "lw"], percent))
    )
    assert (over_datasets.unit, over_datasets.n) == ("dataset", 2)
    assert over_datasets.mean_ranks == {"bl": 2.25, "fc": 2.25, "lw": 1.5}
    assert (over_settings.unit, over_settings.n) == ("setting", 12)
    # On A: 1 in one setting and 3 in five; on B: 2 in six.
    assert over_settings.mean_ranks["lw"] == pytest.approx((1 + 5 * 3 + 6 * 2) / 12)
    assert over_settings.critical_difference == critical_difference(3, 12)


def test_all_tied_or_two_methods_have_no_friedman_test() -> None:
    tied = rankings(scores_by_setting(fake_grid(["A", "B"], ["scnn"], ["bl", "fc", "lw"], lambda *_: 50.0)))
    assert [one.p for one in tied] == [None, None]
    assert tied[0].mean_ranks == {"bl": 2.0, "fc": 2.0, "lw": 2.0}
    two = rankings(
        scores_by_setting(fake_grid(["A"], ["scnn"], ["bl", "lw"], lambda d, m, method, n: 50.0 + (method == "lw")))
    )
    assert [one.unit for one in two] == ["setting"]  # ranks over one dataset would say nothing
    assert two[0].p is None
    assert two[0].mean_ranks == {"bl": 2.0, "lw": 1.0}


def test_few_datasets_are_shown_by_setting_and_many_by_dataset() -> None:
    few = rankings(scores_by_setting(fake_grid(["A", "B"], ["scnn"], ["bl", "lw"], lambda *_: 50.0)))
    assert [one.unit for one in to_show(few)] == ["setting"]
    many = rankings(scores_by_setting(published_runs()))
    assert [(one.model, one.unit, one.n) for one in to_show(many)] == [
        (model, "dataset", 12) for model in ("all", "scnn", "vgg16", "mobilenet", "resnet50")
    ]


def test_the_published_ranks_as_measured() -> None:
    table = ranks_table(published_runs())
    printed = {row.headings: [cell.text for cell in row.cells] for row in table.rows}
    assert printed["all", "datasets", "12"] == ["5.92", "4.17", "3.83", "3.08", "2.79", "1.21", "2.18", "4e-08"]
    assert printed["resnet50", "datasets", "12"] == ["5.67", "3.88", "3.12", "1.79", "3.67", "2.88", "2.18", "2e-05"]
    assert "17 of 144 settings lack the number of a method and are left out" in table.notes


def test_few_sizes_stand_alone_and_many_are_put_together() -> None:
    assert size_groups([200, 50, 200]) == [(50, 50), (200, 200)]
    assert size_groups([1297, 3000, 5000, 5656, 12000, 50000, 60000]) == [(1297, 5000), (5656, 12000), (50000, 60000)]
    assert size_groups([500, 1000, 1001, 2000, 3000, 4000]) == [(500, 1000), (1001, 4000)]


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


def test_one_dataset_has_an_interval_over_its_settings_and_one_setting_has_none() -> None:
    collection = fake_grid(["DIGITS"], ["scnn"], ["bl", "lw"], lambda d, m, method, n: 50.0 + n * (method == "lw"))
    (one,) = mean_gains(scores_by_setting(collection))
    assert (one.sizes, one.most.over) == ((1297, 1297), "6 settings")
    assert one.gains["lw"].value == pytest.approx(2.5)
    rows = [fake_run("DIGITS", model, method, 50.0) for model in ("scnn", "vgg16") for method in ("bl", "lw")]
    over_all, scnn, vgg16 = mean_gains(scores_by_setting(collection_of(rows)))
    assert (over_all.model, over_all.most.n, over_all.most.margin) == (ALL, 2, 0.0)
    assert (scnn.most.margin, vgg16.most.margin) == (None, None)


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


def test_an_empty_store_says_how_to_fill_it() -> None:
    assert ranks_table(collection_of([])).notes[0].startswith("no setting in which all methods finished; start with:")
    assert gains_table(collection_of([])).notes[0].startswith("no setting with BL and another method; start with:")
