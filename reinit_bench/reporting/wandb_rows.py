"""What is logged to Weights & Biases about a run, as plain values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from reinit_bench.training.observer import EpochEnd, RoundEnd


class Row(NamedTuple):
    """Numbers that belong to one step of the run; rows of the same step are one row of W&B's history."""

    step: int
    """Steps of the whole run."""
    values: dict[str, Any]


def epoch_rows(event: EpochEnd) -> list[Row]:
    """The loss of each step and, with the last step, the epoch's results."""
    first = event.total_step - len(event.losses) + 1
    losses = [Row(first + offset, {"loss": float(loss)}) for offset, loss in enumerate(event.losses)]
    names = ("round", "epoch", "lr", "train_accuracy", "validation_accuracy", "validation_loss")
    return [*losses, Row(event.total_step, _known(event, names, "epoch/"))]


def round_row(event: RoundEnd) -> Row:
    """A round's results, at its last step."""
    return Row(event.total_step, _known(event, ROUND_NAMES, "round/"))


def round_summary(event: RoundEnd) -> dict[str, Any]:
    """The same results under the round's own name, which later rounds do not overwrite: `round 2/test_accuracy`."""
    return _known(event, ROUND_NAMES, f"round {event.round}/")


def run_summary(result: Mapping[str, Any], state: str) -> dict[str, Any]:
    """How the run ended: the result's numbers and strings (not its configuration, which W&B has), and its state."""
    plain = {key: value for key, value in result.items() if isinstance(value, (str, int, float))}
    return {**plain, "state": state}


ROUND_NAMES = (
    "round",
    "block",
    "steps",
    "epochs",
    "train_accuracy",
    "validation_accuracy",
    "test_accuracy",
    "train_loss",
    "seconds",
)


def _known(event: EpochEnd | RoundEnd, names: tuple[str, ...], prefix: str) -> dict[str, Any]:
    values = {spec.name: getattr(event, spec.name) for spec in dataclasses.fields(event)}
    return {prefix + name: values[name] for name in names if values[name] is not None}
