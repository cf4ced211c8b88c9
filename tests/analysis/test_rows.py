"""Rows of the paper's tables made again: the arms, the paper's signs, chance by counting it out, partial results."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from fake_store import FakeStore, printed

from reinit_bench.analysis.figures.rows import draw
from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import collect
from reinit_bench.analysis.stats.paper_rows import PaperRow, agreement, correlation_by_seed, paper_rows
from reinit_bench.analysis.tables.table_rows import rows_table
from reinit_bench.store.bundle import pack
from reinit_bench.store.store import Store

SMALL = {"dataset__train_examples": 5000, "image_size": 32, "model__width": 0.25, "augmentation__name": "none"}
LONG = {"trainer__patience_epochs": 240, "trainer__plateau_epochs": 80}
WHOLE = {
    "bl": [0.50, 0.52, 0.54],
    "welsr": [0.51, 0.52, 0.56],
    "dsd": [0.49, 0.50, 0.54],
    "wels": [0.52, 0.54, 0.56],
    "fc": [0.53, 0.55, 0.57],
    "lw": [0.55, 0.57, 0.59],
    "restart": [0.54, 0.56, 0.58],
}


def fill(store: FakeStore, arms: Mapping[str, Sequence[float]], dataset: str = "cifar10", **changes: object) -> None:
    """Each seed with its own training images."""
    for method, accuracies in arms.items():
        for seed, accuracy in enumerate(accuracies):
            told = {**SMALL, "dataset__split_seed": seed, "seed": seed, **changes}
            store.add(dataset, "scnn", method, accuracy, **told)


def only_row(store: FakeStore) -> PaperRow:
    (row,) = paper_rows(collect(store.results_dir))
    return row


def test_seeds_that_draw_their_own_images_are_seeds_of_one_setting(fake_store: FakeStore) -> None:
    fill(fake_store, {"bl": [0.5, 0.6], "lw": [0.7]})  # LW has seed 0 alone so far: it goes with BL
    collection = collect(fake_store.results_dir)
    assert "dataset.split_seed" not in collection.settings
    assert collection.frame["method"].value_counts().to_dict() == {"bl": 2, "lw": 1}


@pytest.mark.parametrize("others", [{"dataset__split_seed": 0}, {"dataset__split_seed": 5}])
def test_one_draw_for_all_seeds_is_a_setting(fake_store: FakeStore, others: dict[str, int]) -> None:
    fill(fake_store, {"bl": [0.5, 0.6], "lw": [0.7]}, **others)
    frame = collect(fake_store.results_dir).frame
    assert set(frame["dataset.split_seed"]) == set(others.values())


def test_an_arm_with_both_kinds_of_draws_stays_apart(fake_store: FakeStore) -> None:
    fill(fake_store, {"bl": [0.5, 0.6, 0.7]})
    fake_store.add("cifar10", "scnn", "bl", 0.5, **{**SMALL, "dataset__split_seed": 0, "seed": 1})
    frame = collect(fake_store.results_dir).frame
    assert sorted(frame["dataset.split_seed"]) == [0, 0, 1, 2]


def test_the_table_beside_the_papers_numbers(fake_store: FakeStore) -> None:
    fill(fake_store, WHOLE)
    fill(fake_store, {"bl": [0.54]}, **LONG)
    fill(fake_store, {"lw": [0.99] * 3}, trainer__lr=0.1)  # not the paper's protocol
    table = rows_table(collect(fake_store.results_dir))
    row = "CIFAR10 (5000), scnn"
    ends = ("400", "100.0")
    assert printed(table) == [
        (row, "BL", "3", "52.0 ± 2.0", "72.2", "", "", "", "-4.0 ± 0.0", "-4.0 (1)", *ends),
        (row, "WELSR", "3", "53.0 ± 2.6", "75.1", "+1.0 ± 2.5", "+2.9", "met", "-3.0 ± 2.5", "-3.0 (1)", *ends),
        (row, "DSD", "3", "51.0 ± 2.6", "74.5", "-1.0 ± 2.5", "+2.3", "not met", "-5.0 ± 2.5", "-5.0 (1)", *ends),
        (row, "WELS", "3", "54.0 ± 2.0", "75.9", "+2.0 ± 0.0", "+3.7", "met", "-2.0 ± 0.0", "-2.0 (1)", *ends),
        (row, "FC", "3", "55.0 ± 2.0", "74.8", "+3.0 ± 0.0", "+2.6", "met", "-1.0 ± 0.0", "-1.0 (1)", *ends),
        (row, "LW", "3", "57.0 ± 2.0", "75.9", "+5.0 ± 0.0", "+3.7", "met", "+1.0 ± 0.0", "+1.0 (1)", *ends),
        (row, "Restart", "3", "56.0 ± 2.0", "", "+4.0 ± 0.0", "", "", "", "+0.0 (1)", *ends),
        (row, "BL patience 240", "1", "54.0", "", "+4.0", "", "", "+0.0", "", *ends),
    ]
    assert table.notes[0].startswith(f"{row}: 4 of 5 of the paper's signs met (chance ")
    assert f"missing of 3 seeds in {row}: BL patience 240 2" in table.notes
    assert "reduced: 32x32, width 0.25, 5,000 images" in table.notes
    assert rows_table(collect(fake_store.results_dir)).notes == table.notes  # chance is drawn alike each time


def test_chance_is_that_of_all_permutations(fake_store: FakeStore) -> None:
    fill(fake_store, {name: accuracies[:1] for name, accuracies in WHOLE.items()})
    row, published = only_row(fake_store), np.array([72.2, 75.1, 74.5, 75.9, 74.8, 75.9])
    accuracies = row.accuracies()[0]
    every = np.array(list(permutations(accuracies)))
    met = ((every > every[:, :1]) & (published > 72.2)).sum(axis=1)
    found = agreement([row])
    assert (found.met, found.signs) == (4, 5)
    assert found.chance == pytest.approx(met.mean(), abs=0.05)
    assert found.p == pytest.approx((met >= 4).mean(), abs=0.02)
    correlations = [scipy.stats.spearmanr(one, published).statistic for one in every]
    assert found.correlation == pytest.approx(correlations[0])
    assert found.correlation_p == pytest.approx(np.mean(np.array(correlations) >= correlations[0] - 1e-9), abs=0.02)
    one = correlation_by_seed(row)
    assert one is not None
    assert (one.value, one.margin) == (pytest.approx(correlations[0]), None)


def test_a_published_tie_is_no_sign_and_missing_runs_count_for_nothing(fake_store: FakeStore) -> None:
    fill(fake_store, {name: WHOLE[name] for name in ("bl", "dsd", "lw")}, "cifar100")
    row = only_row(fake_store)
    gains = {name: row.published_difference(name) for name in paper.LETTERS}
    assert gains == {"bl": None, "welsr": 2.4, "dsd": -0.3, "wels": 0.7, "fc": 3.9, "lw": 4.0}
    assert [row.sign(name) for name in ("welsr", "dsd")] == [1, -1]
    tied = PaperRow(
        label="",
        table=6,
        dataset="CIFAR100",
        runs=row.runs,
        published={**row.published, "dsd": row.published["bl"] - 0.2},
    )
    assert tied.sign("dsd") == 0
    found = agreement([row]), agreement([tied])
    assert [(one.met, one.signs, one.correlation) for one in found] == [(2, 2, None), (1, 1, None)]
    assert correlation_by_seed(row) is None


def test_rows_stand_in_the_studys_order_and_tables_apart(fake_store: FakeStore) -> None:
    two = {"bl": [0.5, 0.5], "lw": [0.6, 0.6]}
    for dataset, condition in (("cifar100", {}), ("cifar10", {"augmentation__name": "mild"}), ("cifar10", {})):
        fill(fake_store, two, dataset, **condition)
    collection = collect(fake_store.results_dir)
    labels = [row.label for row in paper_rows(collection)]
    assert labels == ["CIFAR10 (5000), scnn", "CIFAR100 (5000), scnn", "CIFAR10 (5000), scnn, Table 2"]
    assert any(note.startswith("over these 2 rows: 2 of 2") for note in rows_table(collection).notes)


def test_the_script_beside_the_results_finds_the_same_numbers(fake_store: FakeStore, tmp_path: Path) -> None:
    fill(fake_store, WHOLE)
    fill(fake_store, {"bl": [0.54, 0.53]}, **LONG)
    fill(fake_store, {"bl": [0.7, 0.7], "dsd": [0.6, 0.7]}, "cifar100")
    store = Store(fake_store.results_dir)
    (tmp_path / "runs.tar.gz").write_bytes(pack(store, store.run_ids()).content)
    script = Path(__file__).parents[2] / "results" / "rows" / "recompute.py"
    done = subprocess.run(
        [sys.executable, script, tmp_path / "runs.tar.gz"], capture_output=True, text=True, check=True
    )
    table = rows_table(collect(fake_store.results_dir))
    expected = {
        f"{row['row'].partition(' ')[0]} {row['arm']} over {base}: {row[f'over_{base}']:+.4f} (n = {row[f'n_{base}']})"
        for row in table.data.to_dict("records")
        for base in ("bl", "restart", "bl_long")
        if row[f"n_{base}"]
    }
    *lines, last = done.stdout.splitlines()
    assert (set(lines), last) == (expected, "5 of 6 of the paper's signs met")
    assert any(note.startswith("over these 2 rows: 5 of 6 of the paper's signs met") for note in table.notes)


def test_the_figure_has_ours_and_the_papers(fake_store: FakeStore) -> None:
    fill(fake_store, WHOLE)
    (axes,) = draw(collect(fake_store.results_dir)).axes
    assert [label.get_text() for label in axes.get_yticklabels()][::-1] == [
        *("WELSR", "DSD", "WELS", "FC", "LW", "Restart", "BL patience 240")
    ]
    lw = [line.get_xdata()[0] for line in axes.lines if list(line.get_ydata()) == [2]]
    assert lw == pytest.approx([3.7, 5.0])
