"""The files that the pages tell their reader to write do what the pages say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from factories import tiny_experiment
from written import DOCS, refusals, titled

from reinit_bench.data.task import load_task
from reinit_bench.store.store import Store
from reinit_bench.sweep.slurm.options import Options

FEW = ["trainer.max_steps=4", "diagnostics=false"]
SMALL = ["dataset.train_examples=60", "image_size=8", "model.width=0.1", *FEW]

RUNS = {
    "tutorials/your-method.md": ["method=last", *SMALL],
    "how-to/add/model.md": ["model=small", "method=lw", "dataset.train_examples=60", "image_size=8", *FEW],
    "how-to/add/augmentation.md": ["augmentation=dim", "method=bl", *SMALL],
    "how-to/add/dataset.md": ["dataset=stripes", "method=bl", "model.width=0.1", *FEW],
    "how-to/add/study.md": ["-m", "study=mine", "seed=0", "augmentation=none", "trainer.max_steps=2", *SMALL[:3]],
}
"""Pages, and a short command that uses what they write."""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *words]
    environment = {**os.environ, "REINIT_BENCH_DATA": str(folder / "data")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)


def write_files_of(page: str, folder: Path) -> None:
    for name, text in titled(DOCS / page).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def results(folder: Path) -> list[dict[str, object]]:
    store = Store(folder / "results")
    found = [store.read_result(run_id) for run_id in store.run_ids()]
    return [result for result in found if result is not None]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "words"), RUNS.items())
def test_own_options_run(page: str, words: list[str], tmp_path: Path) -> None:
    write_files_of(page, tmp_path)
    done = run(tmp_path, "-m", "reinit_bench", "--config-dir", "conf", *words)
    assert done.returncode == 0, done.stderr
    assert len(results(tmp_path)) == (2 if "-m" in words else 1)


@pytest.mark.slow
def test_the_own_method_refuses_as_shown(tmp_path: Path) -> None:
    page = "tutorials/your-method.md"
    write_files_of(page, tmp_path)
    ((words, error),) = refusals(DOCS / page)
    done = run(tmp_path, "-m", "reinit_bench", *words)
    assert (done.returncode, done.stderr.strip()) == (1, error)


@pytest.mark.slow
def test_own_images_run(tmp_path: Path) -> None:
    write_files_of("tutorials/your-images.md", tmp_path)
    assert run(tmp_path, "make_images.py").returncode == 0
    assert len(list((tmp_path / "photos").glob("digit_*/*.png"))) == 400
    words = ["dataset=image_folder", "dataset.path=photos", "dataset.name=photos", "image_size=8", "trainer=quick"]
    done = run(tmp_path, "-m", "reinit_bench", *words, "model.width=0.1", *FEW)
    assert done.returncode == 0, done.stderr
    assert results(tmp_path)[0]["config"]["dataset"]["name"] == "photos"  # type: ignore[index]


@pytest.mark.slow
def test_python_examples_run(tmp_path: Path) -> None:
    write_files_of("how-to/python.md", tmp_path)
    first = run(tmp_path, "run_one.py")
    (result,) = results(tmp_path)
    assert first.stdout.splitlines()[-1] == str(result["test_accuracy"]), first.stderr
    assert run(tmp_path, "read_results.py").stdout.split() == ["digits", "lw", "0", str(result["test_accuracy"])]


def test_the_diagnostic_measures(tmp_path: Path) -> None:
    ((_, text),) = titled(DOCS / "how-to" / "add" / "diagnostic.md").items()
    module: dict[str, object] = {}
    exec(text, module)
    experiment = tiny_experiment()
    task = load_task(experiment, torch.device("cpu"))
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    with torch.no_grad():  # as every diagnostic is called
        ((name, mean),) = module["measure"](net, task, 0)  # type: ignore[operator]
    assert name == "mean"
    assert 0.1 < mean < 1.0


def test_the_launcher_preset_sets_fields_that_there_are() -> None:
    (text,) = (text for name, text in titled(DOCS / "how-to" / "slurm.md").items() if name.endswith(".yaml"))
    values = yaml.safe_load(text)
    assert values.pop("defaults") == ["slurm"]
    assert Options.from_fields(values).minutes == values["minutes"]


def test_the_tfds_dataset_can_be_prepared(tmp_path: Path) -> None:
    write_files_of("how-to/add/dataset.md", tmp_path)
    done = run(tmp_path, "-m", "reinit_bench", "--config-dir", "conf", "prepare", "dataset=kmnist", "--check")
    assert done.returncode == 1
    assert done.stderr.startswith(f"kmnist: is not prepared in {tmp_path}")


def test_the_own_study_can_be_planned(tmp_path: Path) -> None:
    write_files_of("how-to/add/study.md", tmp_path)
    done = run(tmp_path, "-m", "reinit_bench", "--config-dir", "conf", "plan", "study=mine")
    assert "Plan: 12 runs" in done.stdout, done.stderr
