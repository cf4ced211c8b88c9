"""The collector: only finished, valid runs, every setting a column, everything else named."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reinit_bench.analysis.frame.collect import collect
from reinit_bench.analysis.frame.settings import setting_name
from reinit_bench.core.settings import ConfigError


def test_a_finished_run_is_one_row_with_every_setting(fake_store: Any) -> None:
    path = fake_store.add("digits", "scnn", "welsr", 0.75, dataset__train_examples=200, trainer__max_steps=60, seed=3)
    collection = collect(fake_store.results_dir)
    assert (collection.unfinished, collection.corrupt) == (0, ())
    (run,) = collection.frame.to_dict("records")
    expected = {
        "run_id": path.parent.name,
        "dataset": "digits",
        "dataset_label": "DIGITS",
        "train_examples": 200,
        "model": "scnn",
        "width": 1.0,
        "method": "welsr",
        "method_label": "WELSR",
        "method_letter": "R",
        "method.fraction": 0.2,
        "augmentation": "mild",
        "dropout": "none",
        "dropout_rate": 0.0,
        "initializer": "he_normal",
        "trainer.max_steps": 60,
        "trainer.lr": 0.003,
        "seed": 3,
        "image_size": 224,
        "precision": "fp32",
        "test_accuracy": 0.75,
        "train_accuracy": 1.0,
        "rounds": 4,
        "steps": 400,
        "wall_seconds": 1.5,
        "version": "0.1.0",
        "git_commit": "a" * 40,
        "device": "cpu",
    }
    assert {name: run[name] for name in expected} == expected
    assert pd.isna(run["validation_accuracy"])
    assert pd.isna(run["study"])
    assert not [name for name in run if "_target_" in name or name.startswith("dataset._")]


def test_settings_are_what_tells_experiments_apart(fake_store: Any) -> None:
    fake_store.add("digits", "scnn", "lw", 0.5, trainer__checkpoint_every=7)
    settings = collect(fake_store.results_dir).settings
    assert {"dataset", "train_examples", "width", "method", "method.rescale", "trainer.lr", "image_size"} < set(
        settings
    )
    assert not {"seed", "run_id", "test_accuracy", "device", "dataset_label", "version", "protocol"} & set(settings)
    assert "trainer.checkpoint_every" not in settings, "it does not change the result"
    assert setting_name("width") == "model.width"
    assert setting_name("trainer.lr") == "trainer.lr"


def test_lists_become_text_and_null_is_absence(fake_store: Any) -> None:
    fake_store.add("digits", "scnn", "lw", 0.5, method__schedule=[1, 1, 2])
    fake_store.add("digits", "scnn", "lw", 0.5, method__schedule=None)
    frame = collect(fake_store.results_dir).frame.set_index("steps").sort_values("method.schedule")
    assert list(frame["method.schedule"].fillna("missing")) == ["[1, 1, 2]", "missing"]


def test_unfinished_runs_are_counted_and_left_out(fake_store: Any) -> None:
    fake_store.add("digits", "scnn", "bl", 0.5)
    for name in ("begun", "killed"):
        (fake_store.results_dir / "runs" / name).mkdir()
    (fake_store.results_dir / "runs" / "killed" / "rounds.jsonl").write_text('{"test_accuracy": 0.9}\n')
    collection = collect(fake_store.results_dir)
    assert (len(collection.frame), collection.unfinished) == (1, 2)


def damaged(path: Path, how: str) -> None:
    content = json.loads(path.read_text())
    if how == "torn":
        path.write_text(path.read_text()[:40])
        return
    if how == "no fraction":
        content["test_accuracy"] = 75.0
    elif how == "other seed":
        content["config"]["seed"] = 99
    else:
        content["config"]["trainer"]["lr"] = -1
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("torn", "is corrupt: not JSON"),
        ("no fraction", "is corrupt: test_accuracy is 75.0, not a fraction"),
        (
            "other seed",
            r"cannot be used: its configuration has the run id [0-9a-f]{16} \(edited, or an older protocol\)",
        ),
        ("wrong setting", r"cannot be used: trainer\.lr must be a number above 0; got -1"),
    ],
)
def test_a_damaged_result_among_good_ones_is_named_with_what_to_do(fake_store: Any, how: str, why: str) -> None:
    fake_store.add("digits", "scnn", "bl", 0.5)
    path = fake_store.add("digits", "scnn", "bl", 0.6, seed=1)
    damaged(path, how)
    collection = collect(fake_store.results_dir)
    assert list(collection.frame["test_accuracy"]) == [0.5]
    assert collection.unfinished == 0
    (line,) = collection.corrupt
    assert line.startswith(str(path))
    assert pd.Series([line]).str.contains(why).all(), line
    assert line.endswith("delete it and run the experiment again")


def test_a_result_that_cannot_be_read_is_named(fake_store: Any) -> None:
    path = fake_store.results_dir / "runs" / "odd" / "result.json"
    path.mkdir(parents=True)
    assert collect(fake_store.results_dir).corrupt == (f"{path} cannot be read: Is a directory; make it readable",)


def test_collecting_writes_nothing(fake_store: Any) -> None:
    fake_store.add("digits", "scnn", "bl", 0.5)
    collect(fake_store.results_dir)
    assert [path.name for path in fake_store.results_dir.iterdir()] == ["runs"]


def test_a_store_that_does_not_exist_is_empty_and_a_file_is_an_error(tmp_path: Path) -> None:
    collection = collect(tmp_path / "nowhere")
    assert collection.frame.empty
    assert {"dataset", "method", "test_accuracy", "dropout_rate"} < set(collection.frame.columns)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "runs").write_text("")
    with pytest.raises(ConfigError, match="is not a folder"):
        collect(tmp_path / "results")


def test_collecting_and_tables_need_neither_torch_nor_hydra_nor_matplotlib() -> None:
    program = (
        "import sys; import reinit_bench.analysis.frame.collect, reinit_bench.analysis.tables.render.terminal; "
        "from reinit_bench.analysis.tables import known_tables; known_tables(); "
        "print(sorted({'torch', 'hydra', 'omegaconf', 'matplotlib', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
