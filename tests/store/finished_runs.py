"""Finished runs with files of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from factories import tiny_experiment

from reinit_bench.core.config import Experiment
from reinit_bench.store.store import Store

RESULT: dict[str, Any] = {
    "run_id": "0123456789abcdef",
    "config": {},
    "test_accuracy": 0.9,
    "validation_accuracy": None,
    "train_accuracy": 1.0,
    "rounds": 4,
    "steps": 80,
    "wall_seconds": 1.5,
    "versions": {},
    "git_commit": None,
    "device": "cpu",
}
"""What a result must have, as it is written."""


def finish(results_dir: Path, experiment: Experiment, accuracy: float = 0.9) -> None:
    """Write a finished run of this experiment."""
    folder = Store(results_dir).run(experiment.run_id)
    folder.create()
    folder.write_config(experiment)
    folder.write_curve([{"index": 1, "steps": 80}], [{"epoch": 1, "train_loss": 0.5}])
    folder.write_diagnostics({"weights.size": 1.5, "margins.smallest": [0.1, 0.2]})
    folder.write_result(
        {
            **RESULT,
            "run_id": experiment.run_id,
            "config": experiment.to_dict(),
            "test_accuracy": accuracy,
        }
    )


def store_of(results_dir: Path, *seeds: int) -> Store:
    """A store with one finished run for each seed."""
    for seed in seeds:
        finish(results_dir, tiny_experiment(f"seed={seed}"))
    return Store(results_dir)
