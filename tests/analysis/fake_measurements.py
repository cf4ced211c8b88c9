"""Finished runs with diagnostics and curves, for the figures that read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


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
