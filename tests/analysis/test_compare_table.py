"""Two sources side by side: which runs are of one cell, the interval, the three words, and the exact table."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from fake_runs import collection_of, fake_run
from scipy.stats import ttest_ind

from reinit_bench.analysis.frame.collect import Collection, collect, published_runs
from reinit_bench.analysis.stats.reproduction import compare_sources, difference
from reinit_bench.analysis.stats.summary import Summary
from reinit_bench.analysis.tables.compare import compare_table
from reinit_bench.analysis.tables.render import text


def seeds(dataset: str, model: str, method: str, *percents: float, **changes: Any) -> list[dict[str, Any]]:
    return [fake_run(dataset, model, method, one, seed=seed, **changes) for seed, one in enumerate(percents)]


def words(first: Collection, second: Collection) -> list[str]:
    return list(compare_sources(first, second).cells["word"])


def test_the_interval_is_welchs() -> None:
    first, second = [70.1, 71.5, 70.8], [72.0, 75.5, 71.1, 69.9]
    interval = ttest_ind(second, first, equal_var=False).confidence_interval(0.95)
    summaries = [Summary(len(one), float(np.mean(one)), float(np.std(one, ddof=1))) for one in (first, second)]
    found = difference(*summaries)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-6)


def test_the_interval_of_a_single_number() -> None:
    several, single = Summary(4, 70.0, 1.0), Summary(1, 71.0, None)
    t = 3.182446  # of three degrees of freedom
    assert difference(several, single).margin == pytest.approx(t * (1 / 4 + 1) ** 0.5)
    assert difference(single, several).margin == pytest.approx(t * (1 / 4 + 1) ** 0.5)
    assert difference(single, several, published=True).margin == pytest.approx(t / 2)
    assert difference(single, single).margin is None
    assert difference(several, dataclasses.replace(several, std=0.0)).margin == pytest.approx(t / 2)
    assert difference(Summary(2, 70.0, 0.0), Summary(3, 70.0, 0.0)).margin == 0


@pytest.mark.parametrize(
    ("first", "second", "word"),
    [
        ((70.0, 70.2, 69.8), (70.1, 69.9, 70.3), "reproduced"),
        ((70.0, 70.2, 69.8), (75.1, 74.9, 75.3), "not reproduced"),
        ((70.0, 74.0), (71.0, 75.0), "cannot be told"),
        ((70.0,), (70.0,), "cannot be told"),
        ((70.0, 70.1, 69.9, 70.0), (70.1,), "reproduced"),
        ((70.0, 70.1, 69.9, 70.0), (78.0,), "not reproduced"),
        ((70.0, 70.0), (70.0, 70.0), "reproduced"),
        ((70.0, 70.0), (70.1, 70.1), "not reproduced"),
    ],
)
def test_three_words(first: tuple[float, ...], second: tuple[float, ...], word: str) -> None:
    sides = [collection_of(seeds("CIFAR10", "scnn", "lw", *percents)) for percents in (first, second)]
    assert words(*sides) == [word]
    assert words(*sides[::-1]) == [word]


def test_runs_that_differ_in_a_setting_are_no_cell() -> None:
    first = collection_of(seeds("CIFAR10", "scnn", "bl", 70, 71) + seeds("CIFAR10", "vgg16", "bl", 80, 81))
    second = collection_of(
        seeds("CIFAR10", "scnn", "bl", 60, 61, trainer__lr=0.01) + seeds("CIFAR10", "vgg16", "bl", 80, 81)
    )
    found = compare_sources(first, second)
    assert [(cell.label, cell.difference.value) for cell in found.cells.itertuples()] == [("vgg16", 0)]
    assert (found.only_first, found.only_second) == (1, 1)


def test_cells_that_differ_in_a_setting_are_told_apart() -> None:
    runs = seeds("CIFAR10", "scnn", "bl", 70, 71) + seeds("CIFAR10", "scnn", "bl", 60, 61, trainer__lr=0.01)
    runs += seeds("CIFAR10", "scnn", "lw", 75, 76) + seeds("CIFAR10", "scnn", "lw", 65, 66, method__rescale=False)
    found = compare_sources(collection_of(runs), collection_of(runs))
    assert [(cell.label, cell.method_label) for cell in found.cells.itertuples()] == [
        ("scnn", "BL"),
        ("scnn", "LW"),
        ("scnn [method.rescale=false]", "LW"),
        ("scnn [trainer.lr=0.01]", "BL"),
    ]


def test_a_published_number_meets_the_method_at_its_defaults_on_all_examples() -> None:
    runs = seeds("CIFAR10", "scnn", "lw", 80, 81) + seeds("CIFAR10", "scnn", "lw", 10, 11, method__rescale=False)
    runs += seeds("CIFAR10", "scnn", "lw", 20, 21, train_examples=500) + seeds("DIGITS", "scnn", "lw", 90, 91)
    found = compare_sources(collection_of(runs), published_runs())
    (cell,) = found.cells.itertuples()
    assert (cell.first.mean, cell.second.n, cell.condition) == (80.5, 1, "no augmentation")
    assert found.only_first == 1


def test_nothing_in_common() -> None:
    empty = collection_of([])
    table = compare_table(empty, published_runs(), ("results", "paper"))
    assert table.rows == ()
    assert table.notes[0] == "no cell is in both"
    assert compare_table(empty, empty, ("results", "other")).notes == ("no cell is in both",)


def test_two_published_sources_differ_in_nothing() -> None:
    found = compare_sources(published_runs(), published_runs())
    assert len(found.cells) == len(published_runs().frame)
    assert {(cell.difference.value, cell.word) for cell in found.cells.itertuples()} == {(0, "cannot be told")}


def test_stores_in_every_format(new_fake_store: Any, tmp_path: Any) -> None:
    first, second = (new_fake_store(tmp_path / name) for name in ("ours", "theirs"))
    for seed in range(3):
        first.add("cifar10", "scnn", "bl", 0.80 + seed / 1000, seed=seed)
        second.add("cifar10", "scnn", "bl", 0.801 + seed / 1000, seed=seed)
        first.add("cifar10", "scnn", "lw", 0.82 + seed / 1000, seed=seed)
        second.add("cifar10", "scnn", "lw", 0.85 + seed / 1000, seed=seed)
        first.add("cifar10", "vgg16", "bl", 0.9 + seed / 1000, seed=seed)
        first.add("digits", "scnn", "bl", 0.9, seed=seed, dropout__rate=0.25)
    second.add("cifar10", "vgg16", "bl", 0.9)
    second.add("digits", "scnn", "bl", 0.9, dropout__rate=0.25)
    table = compare_table(collect(first.results_dir), collect(second.results_dir), ("ours", "theirs.tar.gz"))
    assert text.markdown(table) == (
        "**Two sources compared: A is ours, B is theirs.tar.gz**\n"
        "\n"
        "| Dataset | Model | Condition | Method | A | B | B − A | Verdict |\n"
        "| :-- | :-- | :-- | :-- | --: | --: | --: | --: |\n"
        "| CIFAR10 | scnn | mild augmentation | BL | 80.10 ± 0.10 (3) | 80.20 ± 0.10 (3) | +0.10 ± 0.23 "
        "| reproduced |\n"
        "|  | scnn | mild augmentation | LW | 82.10 ± 0.10 (3) | 85.10 ± 0.10 (3) | +3.00 ± 0.23 | not reproduced |\n"
        "|  | vgg16 | mild augmentation | BL | 90.10 ± 0.10 (3) | 90.00 (1) | -0.10 ± 0.50 | reproduced |\n"
        "| DIGITS | scnn | mild augmentation, dropout 0.25 | BL | 90.00 ± 0.00 (3) | 90.00 (1) | +0.00 ± 0.00 "
        "| reproduced |\n"
        "\n"
        "- 4 cells: 3 reproduced, 1 not reproduced\n"
        "- test accuracy [%], mean ± standard deviation (number of seeds)\n"
        "- reproduced: the 95% interval of B − A contains 0 and reaches at most 2 points to each side; not reproduced: "
        "it does not contain 0; cannot be told: it is wider, or there is none\n"
        "- where A and B have several seeds each, the interval is Welch's\n"
        "- where one has a single run, that is taken to spread as the other's runs do; where both have, there is none\n"
        "- the intervals are many and not corrected for that: of cells that agree, one in twenty is not reproduced\n"
        "- 2 runs of the same id and accuracy in both: copies reproduce nothing\n"
    )
    assert text.csv(table) == (
        "dataset,model,condition,method,n_a,mean_a,std_a,n_b,mean_b,std_b,difference,half_width,verdict\n"
        "CIFAR10,scnn,mild augmentation,bl,3,80.1,0.1,3,80.2,0.1,0.1,0.2267,reproduced\n"
        "CIFAR10,scnn,mild augmentation,lw,3,82.1,0.1,3,85.1,0.1,3.0,0.2267,not reproduced\n"
        "CIFAR10,vgg16,mild augmentation,bl,3,90.1,0.1,1,90.0,,-0.1,0.4968,reproduced\n"
        'DIGITS,scnn,"mild augmentation, dropout 0.25",bl,3,90.0,0.0,1,90.0,,0.0,0.0,reproduced\n'
    )
    against_paper = compare_table(collect(first.results_dir), published_runs(), ("ours", "paper"))
    assert [[str(cell) for cell in row.cells] for row in against_paper.rows] == [
        ["80.10 ± 0.10 (3)", "82.70 (1)", "+2.60 ± 0.25", "not reproduced"],
        ["82.10 ± 0.10 (3)", "84.30 (1)", "+2.20 ± 0.25", "not reproduced"],
        ["90.10 ± 0.10 (3)", "84.70 (1)", "-5.40 ± 0.25", "not reproduced"],
    ]
    assert "a published number is taken as exact" in " ".join(against_paper.notes)
    assert "B: the published Tables 2, 6 and 7" in against_paper.notes
