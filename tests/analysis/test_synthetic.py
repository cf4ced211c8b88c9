"""Table 1 and its readings: exact numbers from runs that are known."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import LABELS, Shelf

from reinit_bench.analysis.collect import collect
from reinit_bench.analysis.readings import readings
from reinit_bench.analysis.table_synthetic import table1

SECTION = {
    "image_size": None,
    "initializer__name": "xavier_uniform",
    "method__repeats": 3,
    "dataset__train_examples": 256,
    "trainer": {
        "lr": 0.05,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "max_steps": 200,
        "validation_fraction": 0.0,
        "round_weights": "last",
    },
}


@pytest.fixture
def add(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(LABELS, "synthetic", "SYNTHETIC")

    def added(method: str, alpha: float, accuracy: float, seed: int, **changes: Any) -> None:
        shelf.add("synthetic", "mlp", method, accuracy, **{**SECTION, "dataset__alpha": alpha, "seed": seed, **changes})

    return added


def test_table_1_has_mean_spread_difference_and_verdict(add: Any, shelf: Shelf) -> None:
    for seed, accuracy in enumerate((0.70, 0.74, 0.78)):
        add("lw", 1.0, accuracy, seed)
        add("dsd", 1.0, accuracy, seed)
        add("lw", 1.0, 0.1, seed, initializer__name="he_normal")
    table = table1(collect(shelf.results_dir))
    assert list(table.data.columns) == ["alpha", "method", "n", "mean", "std", "published", "published_std"]
    assert len(table.data) == 18
    lw = table.data[(table.data["alpha"] == 1.0) & (table.data["method"] == "lw")].iloc[0]
    assert lw.tolist() == [1.0, "lw", 3, 74.0, 4.0, 72.3, 3.6]
    ours, theirs, off = [row for row in table.rows if row.headings[0] == "1"]
    assert [cell.text for cell in ours.cells] == [None, None, "74.0", None, None, "74.0"]
    assert [cell.text for cell in theirs.cells] == ["50.7", "72.9", "53.4", "66.1", "68.6", "72.3"]
    # (74.0 - 72.3) / sqrt(4.0^2 + 3.6^2) and (74.0 - 53.4) / sqrt(4.0^2 + 0.7^2)
    assert [cell.text for cell in off.cells] == [None, None, "+5.1", None, None, "+0.3"]
    assert table.notes[1].startswith("1 of 2 cells within 2 combined standard deviations")
    assert table.notes[1].endswith("15 published cells cannot be compared yet; outside: dsd at 1 (+5.1)")


def test_without_runs_table_1_says_how_to_get_them(shelf: Shelf) -> None:
    table = table1(collect(shelf.results_dir))
    assert [row.published for row in table.rows] == [True] * 3
    assert table.notes[-1] == "no finished run of it; start with: reinit-bench -m study=table1"


def test_a_reading_changes_one_setting(add: Any, shelf: Shelf) -> None:
    for seed, accuracy in enumerate((0.5, 0.6)):
        add("fc", 1.0, accuracy, seed)
        add("fc", 1.0, accuracy + 0.2, seed, method__extent="head")
        add("fc", 1.0, accuracy, seed, method__extent="head", initializer__name="he_normal")
    found = readings(collect(shelf.results_dir).frame)
    assert [(one.changed, one.n, round(one.mean, 6)) for one in found] == [
        ("default", 2, 55.0),
        ("method.extent=head", 2, 75.0),
    ]
    assert [f"{one.difference:+.2f}" for one in found] == ["-1.84", "+0.87"]
