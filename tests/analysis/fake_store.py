"""A results folder that tests fill with finished runs, in the store's own format."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from reinit_bench.core.config import Experiment

LABELS = {"oxford_iiit": "OXFORD-IIIT", "cifar10": "CIFAR10", "cifar100": "CIFAR100", "digits": "DIGITS"}
METHODS: dict[str, dict[str, Any]] = {
    "bl": {"_letter_": "B"},
    "welsr": {"_letter_": "R", "fraction": 0.2},
    "dsd": {"_letter_": "D", "fraction": 0.2},
    "wels": {"_letter_": "W", "fraction": 0.2},
    "fc": {"_letter_": "F"},
    "lw": {"_letter_": "L", "rescale": True},
}


class FakeStore:
    """Writes finished runs at the paper's settings; each call changes what it names."""

    def __init__(self, results_dir: Path) -> None:
        self.results_dir = results_dir

    def config(self, dataset: str, model: str, method: str, **changes: Any) -> dict[str, Any]:
        """A resolved configuration; `changes` are settings named as typed, with `__` for each dot."""
        config: dict[str, Any] = {
            "dataset": {"_target_": "x.Y", "name": dataset, "_label_": LABELS[dataset], "train_examples": None},
            "model": {"_target_": "x.Y", "name": model, "width": 1.0},
            "method": {"_target_": "x.Y", "name": method, "repeats": 1, **METHODS.get(method, {})},
            "augmentation": {"_target_": "x.Y", "name": "mild"},
            "dropout": {"name": "none", "rate": 0.0},
            "initializer": {"_target_": "x.Y", "name": "he_normal"},
            "trainer": {},
            "seed": 0,
            "image_size": 224,
            "precision": "fp32",
        }
        for name, value in changes.items():
            *sections, key = name.split("__")
            (config[sections[0]] if sections else config)[key] = value
        return config

    def add(
        self,
        dataset: str,
        model: str,
        method: str,
        accuracy: float,
        *,
        version: str = "0.1.0",
        git_commit: str | None = "a" * 40,
        steps: int = 400,
        validation: float | None = None,
        study: str | None = None,
        **changes: Any,
    ) -> Path:
        """One finished run; returns its result.json."""
        experiment = Experiment.from_dict(self.config(dataset, model, method, **changes))
        result = {
            "run_id": experiment.run_id,
            "config": copy.deepcopy(experiment.to_dict()),
            "test_accuracy": accuracy,
            "validation_accuracy": validation,
            "train_accuracy": 1.0,
            "rounds": 4,
            "steps": steps,
            "wall_seconds": 1.5,
            "versions": {"reinit_bench": version, "torch": "2.15.0", "python": "3.12.0"},
            "git_commit": git_commit,
            "device": "cpu",
            "weights_sha256": "0" * 64,
            "study": study,
        }
        folder = self.results_dir / "runs" / experiment.run_id
        folder.mkdir(parents=True)
        path = folder / "result.json"
        path.write_text(json.dumps(result))
        return path
