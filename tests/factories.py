"""Small experiments for tests, composed from conf/ as a user's are."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from reinit_bench.cli.compose import Composer, composer
from reinit_bench.core.conf_dir import conf_dir
from reinit_bench.core.config import Experiment

TINY = (
    "dataset.train_examples=60",
    "image_size=8",
    "model.width=0.25",
    "trainer.batch_size=16",
    "trainer.max_steps=8",
    "trainer.checkpoint_every=3",
)
"""Digits, scnn: 54 examples to train, 4 steps an epoch, 8 steps a round; a run takes a fraction of a second."""

METHOD_FILES: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted((conf_dir() / "method").glob("*.yaml"))
}
"""The option files of all methods."""

METHODS = ("bl", "welsr", "dsd", "wels", "fc", "lw")
"""The paper's methods, in its order."""


@cache
def _composer() -> Composer:
    """One composer for the whole process: a new one would have Hydra compose its first configuration each time."""
    with composer() as composer_of_all:
        return composer_of_all


def make_config(*overrides: str) -> dict[str, Any]:
    """The resolved configuration of these overrides."""
    return copy.deepcopy(_composer().compose(overrides))


def write_result(results_dir: Path, experiment: Experiment, **changes: Any) -> None:
    """Write the `result.json` of a finished run of this experiment."""
    result = {
        "run_id": experiment.run_id,
        "config": experiment.to_dict(),
        "test_accuracy": 0.5,
        "validation_accuracy": None,
        "train_accuracy": 1.0,
        "rounds": 4,
        "steps": 80,
        "wall_seconds": 1.0,
        "versions": {},
        "git_commit": None,
        "device": "cpu",
        **changes,
    }
    folder = results_dir / "runs" / experiment.run_id
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(result))


def tiny_experiment(*overrides: str) -> Experiment:
    """A run of a fraction of a second, changed by `overrides`."""
    return Experiment.from_dict(make_config(*TINY, *overrides))
