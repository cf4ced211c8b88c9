"""The events that the training loop sends to observers: a progress display, log lines, Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class RunStart:
    """An experiment begins or resumes."""

    run_id: str
    title: str
    """E.g. `digits scnn lw seed 0`."""
    config: Mapping[str, Any]
    study: str | None
    rounds: int
    steps_per_round: int
    """Maximum number of steps of one round."""
    first_step: int
    """Steps of the whole run already done: above 0 for a resumed run."""


@dataclass(frozen=True, kw_only=True)
class EpochEnd:
    """One pass over the training examples ended (or the round's last, partial one)."""

    round: int
    epoch: int
    step: int
    """Steps of this round so far."""
    total_step: int
    """Steps of the whole run so far."""
    lr: float
    losses: Sequence[float]
    """The cross-entropy of each step of this epoch, oldest first; the last belongs to `total_step`."""
    train_accuracy: float
    """Accuracy (fraction) over this epoch's own, augmented batches."""
    validation_accuracy: float | None
    validation_loss: float | None


@dataclass(frozen=True, kw_only=True)
class RoundEnd:
    """A round ended; accuracies are fractions and belong to the weights that it hands on."""

    round: int
    rounds: int
    block: int
    steps: int
    total_step: int
    epochs: int
    train_accuracy: float
    validation_accuracy: float | None
    test_accuracy: float
    train_loss: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class RunEnd:
    """The experiment ended: `state` is done, interrupted or failed."""

    state: str
    summary: Mapping[str, Any]
    """The result if the run is done, otherwise the error and its kind."""
    directory: str


class Observer:
    """Does nothing; a subclass overrides the events that it wants. Never changes the training."""

    def run_started(self, event: RunStart) -> None: ...

    def step_done(self, round_index: int, step: int) -> None:
        """Called after every step of a round, without waiting for the device."""

    def epoch_ended(self, event: EpochEnd) -> None: ...

    def round_ended(self, event: RoundEnd) -> None: ...

    def run_ended(self, event: RunEnd) -> None: ...


class Observers(Observer):
    """Passes every event on to several observers."""

    def __init__(self, *observers: Observer) -> None:
        self.observers = observers

    def run_started(self, event: RunStart) -> None:
        for observer in self.observers:
            observer.run_started(event)

    def step_done(self, round_index: int, step: int) -> None:
        for observer in self.observers:
            observer.step_done(round_index, step)

    def epoch_ended(self, event: EpochEnd) -> None:
        for observer in self.observers:
            observer.epoch_ended(event)

    def round_ended(self, event: RoundEnd) -> None:
        for observer in self.observers:
            observer.round_ended(event)

    def run_ended(self, event: RunEnd) -> None:
        for observer in self.observers:
            observer.run_ended(event)
