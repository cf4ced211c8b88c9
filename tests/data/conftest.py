from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_photos import PHOTOS, write_photo_cache

from reinit_bench.core.config import Experiment
from reinit_bench.core.settings import instantiate
from reinit_bench.data.preparing.environment import VARIABLE
from reinit_bench.data.tfds_source import Tfds


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter that has TensorFlow."""
    chosen = os.environ.get(VARIABLE)
    found = Path(chosen) if chosen else Path(__file__).parents[2] / ".venv-prepare" / "bin" / "python"
    if not found.is_file():
        pytest.fail(f"these tests need an environment with TensorFlow; set {VARIABLE}, or leave out -m prepare")
    return found


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of datasets, chosen by the variable as a user would."""
    folder = tmp_path / "datasets"
    monkeypatch.setenv("REINIT_BENCH_DATA", str(folder))
    return folder


@pytest.fixture
def photos(data_folder: Path) -> Tfds:
    """A dataset whose cache is as `reinit-bench prepare` leaves it."""
    source: Tfds = instantiate(PHOTOS, "dataset")
    write_photo_cache(source)
    return source


@pytest.fixture
def make_experiment() -> Callable[..., Experiment]:
    """An experiment on a dataset section; `mild=True` augments, further fields go to the trainer."""

    def make(dataset: dict[str, Any], image_size: int | None = 8, mild: bool = False, **trainer: Any) -> Experiment:
        augmentation = "Mild" if mild else "Augmentation"
        return Experiment.from_dict(
            {
                "dataset": dataset,
                "model": {"name": "scnn"},
                "method": {"name": "bl"},
                "augmentation": {"_target_": f"reinit_bench.data.augment.{augmentation}", "name": "x"},
                "dropout": {"name": "none", "rate": 0.0},
                "initializer": {"name": "he_normal"},
                "trainer": trainer,
                "image_size": image_size,
            }
        )

    return make
