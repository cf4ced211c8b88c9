"""Table 3 and two sources side by side: p-values and intervals by hand, exact text, and how far the published go."""

from __future__ import annotations

import dataclasses
from math import comb
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fake_runs import collection_of, fake_grid, fake_run, grid_rows
from fake_store import FakeStore

from reinit_bench.analysis.frame.collect import Collection, collect, published_runs
from reinit_bench.analysis.stats.significance import ExactTest, compare
from reinit_bench.analysis.stats.summary import Summary
from reinit_bench.analysis.tables import build_tables, known_tables
from reinit_bench.analysis.tables.compare import compare_sources, compare_table, difference
from reinit_bench.analysis.tables.render import text
from reinit_bench.analysis.tables.table_3 import significance_table


def frame(**columns: list[float | None]) -> pd.DataFrame:
    return pd.DataFrame(columns, dtype=float)


def pair(pairs: pd.DataFrame, row: str, column: str) -> Any:
    return next(one for one in pairs.itertuples() if (one.row, one.column) == (row, column))


def test_ties_are_dropped_or_split_and_an_odd_one_is_dropped() -> None:
    table = frame(bl=[1] * 13, lw=[2] * 7 + [0] + [1] * 5)
    dropped = pair(compare(table, ["bl", "lw"]), "bl", "lw")
    assert (dropped.wins, dropped.losses, dropped.ties) == (7, 1, 5)
    assert dropped.p == pytest.approx(2 * (1 + 8) / 2**8)
    split = pair(compare(table, ["bl", "lw"], ExactTest(split_ties=True)), "bl", "lw")
    assert split.p == pytest.approx(2 * sum(comb(12, k) for k in range(9, 13)) / 2**12)


def test_a_missing_number_takes_one_comparison_away_and_decimals_tie() -> None:
    one = pair(compare(frame(bl=[1, None, 0.1 + 0.2], lw=[2, 3, 0.3]), ["bl", "lw"]), "bl", "lw")
    assert (one.wins, one.losses, one.ties, one.missing) == (1, 0, 1, 1)


def test_holms_steps_by_hand() -> None:
    # 12 settings: c beats a in all, b beats a in 10, c beats b in 9.
    a, b = [0.0] * 12, [1.0] * 10 + [-1.0] * 2
    c = [2.0] * 7 + [0.5] * 3 + [2.0] * 2
    pairs = compare(frame(a=a, b=b, c=c), ["a", "b", "c"])
    p = {(x, y): pair(pairs, x, y).p for x, y in (("a", "c"), ("a", "b"), ("b", "c"))}
    assert p["a", "c"] == pytest.approx(2 / 4096)
    assert p["a", "b"] == pytest.approx(2 * (1 + 12 + 66) / 4096)
    assert p["b", "c"] == pytest.approx(2 * (1 + 12 + 66 + 220) / 4096)
    # The smallest times three, the next times two, the largest times one.
    assert pair(pairs, "a", "c").p_holm == pytest.approx(3 * p["a", "c"])
    assert pair(pairs, "a", "b").p_holm == pytest.approx(2 * p["a", "b"])
    assert pair(pairs, "b", "c").p_holm == pytest.approx(p["b", "c"])
    assert [pair(pairs, *key).mark for key in p] == ["circle", "star", ""]


def test_an_architecture_and_a_method_of_ones_own_stand_with_the_papers() -> None:
    table = significance_table(fake_grid(["A", "B"], ["scnn", "wide"], {"bl": 50.0, "mine": 51.0}))
    assert [" ".join(row.headings) for row in table.rows] == [
        *("scnn BL", "scnn paper", "scnn MINE", "wide BL", "wide MINE", "all BL", "all MINE"),
    ]
    assert table.rows[5].cells[1].text == "○ 24–0"
    assert table.rows[3].cells[1].text == "○ 12–0"


def test_architectures_with_too_few_settings_for_a_verdict_are_named_and_not_compared_with_the_paper() -> None:
    rows = grid_rows(["DIGITS"], ["scnn", "vgg16"], {"bl": 50.0, "lw": 51.0})
    collection = collection_of([row for row in rows if row["initializer"] == "he_normal"])
    table = significance_table(collection)
    assert "too few settings for any verdict: scnn, vgg16 (a verdict needs 6 settings or more)" in table.notes
    assert not any("published cells" in note for note in table.notes)
    assert table.rows[-2].headings == ("all", "BL")
    assert table.rows[-2].cells[1].text == "○ 6–0"
    assert "(a verdict needs 5 settings or more)" in str(build_tables(collection, ["3-one-sided"])["3-one-sided"].notes)


def test_the_other_interpretations_are_tables_that_one_names() -> None:
    names = ["3-one-sided", "3-ties-split", "3-one-sided-ties-split"]
    built = build_tables(collection_of([]), names)
    assert [table.name for table in built.values()] == [f"table{name}" for name in names]
    assert "(one-sided, ties split)" in built[names[2]].caption
    assert not set(names) & set({name for name, table in known_tables().items() if table.usual})
    assert [name for name, table in known_tables().items() if table.from_paper] == ["3", "gains", "ranks"]


@pytest.mark.parametrize(
    ("name", "reconstructed", "same"),
    [
        ("3-ties-split", False, 89),
        ("3-one-sided", False, 86),
        ("3-one-sided-ties-split", False, 88),
        ("3", True, 90),
    ],
)
def test_no_interpretation_of_the_test_gives_the_published_table_3(name: str, reconstructed: bool, same: int) -> None:
    table = build_tables(published_runs(reconstructed=reconstructed), [name])[name]
    assert any(note.startswith(f"{same} of 100 published cells") for note in table.notes)
    assert ("28 damaged cells reconstructed" in table.caption) == reconstructed


def seeds(dataset: str, model: str, method: str, *percents: float, **changes: Any) -> list[dict[str, Any]]:
    return [fake_run(dataset, model, method, one, seed=seed, **changes) for seed, one in enumerate(percents)]


def words(first: Collection, second: Collection) -> list[str]:
    return list(compare_sources(first, second)[0]["word"])


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
        ((70.0, 70.1, 69.9, 70.0), (70.1,), "reproduced"),
        ((70.0, 70.1, 69.9, 70.0), (78.0,), "not reproduced"),
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
    found, *alone = compare_sources(first, second)
    assert [(cell.label, cell.difference.value) for cell in found.itertuples()] == [("vgg16", 0)]
    assert alone == [1, 1]


def test_cells_that_differ_in_a_setting_are_told_apart() -> None:
    runs = seeds("CIFAR10", "scnn", "bl", 70, 71) + seeds("CIFAR10", "scnn", "bl", 60, 61, trainer__lr=0.01)
    runs += seeds("CIFAR10", "scnn", "lw", 75, 76) + seeds("CIFAR10", "scnn", "lw", 65, 66, method__rescale=False)
    found, _, _ = compare_sources(collection_of(runs), collection_of(runs))
    assert [(cell.label, cell.method_label) for cell in found.itertuples()] == [
        ("scnn", "BL"),
        ("scnn", "LW"),
        ("scnn [method.rescale=false]", "LW"),
        ("scnn [trainer.lr=0.01]", "BL"),
    ]


def test_a_published_number_meets_the_method_at_its_defaults_on_all_examples() -> None:
    runs = seeds("CIFAR10", "scnn", "lw", 80, 81) + seeds("CIFAR10", "scnn", "lw", 10, 11, method__rescale=False)
    runs += seeds("CIFAR10", "scnn", "lw", 20, 21, train_examples=500) + seeds("DIGITS", "scnn", "lw", 90, 91)
    found, *alone = compare_sources(collection_of(runs), published_runs())
    (cell,) = found.itertuples()
    assert (cell.first.mean, cell.second.n, cell.condition) == (80.5, 1, "no augmentation")
    assert alone[0] == 1


def test_stores_in_every_format(tmp_path: Path) -> None:
    first, second = (FakeStore(tmp_path / name) for name in ("ours", "theirs"))
    first.seeds("cifar10", "scnn", "bl", (0.800, 0.801, 0.802))
    second.seeds("cifar10", "scnn", "bl", (0.801, 0.802, 0.803))
    first.seeds("cifar10", "scnn", "lw", (0.820, 0.821, 0.822))
    second.seeds("cifar10", "scnn", "lw", (0.850, 0.851, 0.852))
    first.seeds("cifar10", "vgg16", "bl", (0.900, 0.901, 0.902))
    first.seeds("digits", "scnn", "bl", (0.9, 0.9, 0.9), dropout__rate=0.25)
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
    assert text.csv(table).startswith(
        "dataset,model,condition,method,n_a,mean_a,std_a,n_b,mean_b,std_b,difference,half_width,verdict\n"
        "CIFAR10,scnn,mild augmentation,bl,3,80.1,0.1,3,80.2,0.1,0.1,0.2267,reproduced\n"
    )
    against_paper = compare_table(collect(first.results_dir), published_runs(), ("ours", "paper"))
    assert [str(cell) for cell in against_paper.rows[0].cells] == [
        *("80.10 ± 0.10 (3)", "82.70 (1)", "+2.60 ± 0.25", "not reproduced")
    ]
    assert "a published number is taken as exact" in " ".join(against_paper.notes)
    assert "B: the published Tables 2, 6 and 7" in against_paper.notes
    nothing = compare_table(collection_of([]), published_runs(), ("results", "paper"))
    assert (nothing.rows, nothing.notes[0]) == ((), "no cell is in both")
