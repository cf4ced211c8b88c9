"""A results folder that tests fill with finished runs, their files and tuned studies, in the store's own format."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reinit_bench.analysis.frame.collect import collect
from reinit_bench.analysis.stats.arms import TunedRuns, tuned_runs
from reinit_bench.analysis.tables.table import Table
from reinit_bench.core.config import Experiment

LABELS = {"oxford_iiit": "OXFORD-IIIT", "synthetic": "SYNTHETIC"} | {
    name: name.upper() for name in ("cifar10", "cifar100", "digits")
}
METHODS: dict[str, dict[str, Any]] = {
    **{name: {"_letter_": letter} for name, letter in (("bl", "B"), ("fc", "F"))},
    **{name: {"_letter_": letter, "fraction": 0.2} for name, letter in (("welsr", "R"), ("dsd", "D"), ("wels", "W"))},
    "lw": {"_letter_": "L", "rescale": True},
}


class FakeStore:
    """Writes finished runs at the paper's settings; each call changes what it names."""

    def __init__(self, results_dir: Path) -> None:
        self.results_dir = results_dir

    def config(self, dataset: str, model: str, method: str, **changes: Any) -> dict[str, Any]:
        """A resolved configuration; `changes` are settings named as typed, with `__` for each dot."""
        config: dict[str, Any] = {
            "dataset": {
                "_target_": "x.Y",
                "name": dataset,
                "_label_": LABELS[dataset],
                "train_examples": None,
            },
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

    def seeds(self, dataset: str, model: str, method: str, accuracies: Iterable[float], **changes: Any) -> list[Path]:
        """Runs that differ in their seeds alone: 0, 1 and so on."""
        return [
            self.add(dataset, model, method, accuracy, seed=seed, **changes) for seed, accuracy in enumerate(accuracies)
        ]


def measure(result: Path, *, sizes: float = 1.0, margins: Sequence[float] = (0.1,), lost: float = 0.5) -> None:
    """Put diagnostics next to a result.json: two sigmas, two draws; the larger noise takes `lost` of the accuracy 0.9.

    The draws are 0.1 apart around that; the loss rises from 1 by twice as much.
    """
    draws = np.array([[0.0, lost - 0.1], [0.0, lost + 0.1]])
    np.savez_compressed(
        result.with_name("diagnostics.npz"),
        **{
            "margins.smallest": np.array(margins),
            "sharpness.sigma": np.array([0.01, 0.1]),
            "sharpness.accuracy": 0.9 - draws,
            "sharpness.loss": 1.0 + 2 * draws,
            "sharpness.accuracy_without": np.array(0.9),
            "sharpness.loss_without": np.array(1.0),
            "weights.size": np.array(sizes),
            "failures": np.array([], dtype=np.str_),
        },
    )


def curve(result: Path, rounds: Sequence[Sequence[float]]) -> None:
    """Put a curve next to a result.json: the training accuracies of each round's epochs."""
    rows: list[dict[str, Any]] = [
        {"round": index, "epoch": epoch, "train_accuracy": accuracy}
        for index, accuracies in enumerate(rounds, start=1)
        for epoch, accuracy in enumerate(accuracies, start=1)
    ]
    result.with_name("history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def rounds(result: Path, accuracies: Sequence[tuple[float, float]]) -> None:
    """Put rounds next to a result.json: the test and training accuracy that each ends with."""
    rows = [
        {"index": index, "test_accuracy": test, "train_accuracy": train}
        for index, (test, train) in enumerate(accuracies, start=1)
    ]
    result.with_name("rounds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


TRIAL_SEED = 100
RATES = (0.003, 0.01, 0.03)


class TunedStore:
    """Fills a fake store as study=verdict_pilot does: three trials with seed 100, then seeds at one rate."""

    def __init__(self, store: FakeStore) -> None:
        self.store = store

    def arm(
        self, method: str, accuracies: list[float], *, validation: tuple[float, ...] = (0.5, 0.7, 0.6), **changes: Any
    ) -> None:
        settings = {"dataset__train_examples": 1000, "augmentation__name": "none", "model__norm": "group", **changes}
        decay = {"trainer__weight_decay": 0.0}
        for rate, value in zip(RATES, validation, strict=True):
            trial = {"seed": TRIAL_SEED, "trainer__lr": rate, "validation": value}
            self.store.add("digits", "scnn", method, value + 0.1, study="verdict_pilot", **trial, **settings, **decay)
        best = RATES[validation.index(max(validation))]
        run = {"study": "verdict_pilot", "trainer__lr": best, "validation": 0.5}
        self.store.seeds("digits", "scnn", method, accuracies, **run, **settings, **decay)

    def arms(self, arms: dict[str, list[float]], **changes: Any) -> None:
        """Several at once, under the same settings."""
        for method, accuracies in arms.items():
            self.arm(method, accuracies, **changes)

    def runs(self) -> TunedRuns:
        return tuned_runs(collect(self.store.results_dir))


def printed(table: Table) -> list[tuple[str, ...]]:
    """Each row's headings and cells as text."""
    return [(*row.headings, *map(str, row.cells)) for row in table.rows]
