"""Data in stages: the ends of stages, their mean, and differences from a fresh network, paired by seed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from factories import tiny_experiment, write_result

from reinit_bench.analysis.figures.stages import draw
from reinit_bench.analysis.frame.collect import collect
from reinit_bench.analysis.stats.stages import staged_settings
from reinit_bench.analysis.tables.render.text import FORMATS
from reinit_bench.analysis.tables.table_stages import stages_table

ENDS = {  # test accuracy by method and seed after each of four rounds, two in each stage
    ("cold", 0): [0.1, 0.50, 0.1, 0.80],
    ("cold", 1): [0.1, 0.52, 0.1, 0.84],
    ("sp", 0): [0.9, 0.51, 0.9, 0.82],
    ("sp", 1): [0.9, 0.53, 0.9, 0.82],
    ("lw", 0): [0.9, 0.40, 0.9, 0.90],
}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for (method, seed), accuracies in ENDS.items():
        words = (f"method={method}", f"seed={seed}", f"dataset.split_seed={seed}", "dataset.stages=[0.5,1]")
        experiment = tiny_experiment(*words, f"trainer.lr={0.01 if method == 'sp' else 0.03}")
        write_result(tmp_path, experiment, test_accuracy=accuracies[-1])
        rows = [
            {"index": index, "stage": (index + 1) // 2, "train_accuracy": 1.0, "test_accuracy": accuracy}
            for index, accuracy in enumerate(accuracies, start=1)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "runs" / experiment.run_id / "rounds.jsonl").write_text(text)
    return tmp_path


def test_a_learning_rate_that_an_arm_chose_is_no_setting_and_pairs_are_of_one_seed(results: Path) -> None:
    (setting,) = staged_settings(collect(results))
    assert (setting.stages, setting.methods) == (2, ["lw", "cold", "sp"])
    gain = setting.over_fresh("sp", 2)
    assert gain is not None
    assert (gain.n, gain.value) == (2, pytest.approx(0.0))
    lonely = setting.over_fresh("lw", 2)
    assert lonely is not None
    assert (lonely.n, lonely.margin, lonely.value) == (1, None, pytest.approx(10.0))


def test_the_table_shows_first_and_last_stage_and_the_mean(results: Path) -> None:
    table = stages_table(collect(results))
    assert [[row.headings[1], *map(str, row.cells)] for row in table.rows] == [
        ["LW", "40.0", "90.0", "65.0", "+10.0", "+0.0"],
        ["Cold", "51.0 ± 1.4", "82.0 ± 2.8", "66.5 ± 2.1", "—", "—"],
        ["S&P", "52.0 ± 1.4", "82.0 ± 0.0", "67.0 ± 0.7", "+0.0 ± 25.4", "+0.5 ± 12.7"],
    ]
    assert table.data[table.data["stage"] == 1]["mean"].tolist() == [40.0, 51.0, 52.0]
    assert all(render(table) for render in FORMATS.values())
    assert len(draw(collect(results)).axes) == 2


def test_without_stages_it_says_what_to_run(tmp_path: Path) -> None:
    write_result(tmp_path, tiny_experiment("method=bl"))
    assert stages_table(collect(tmp_path)).notes[0].endswith("start with: reinit-bench -m study=warm_start")
