"""Observers of whole runs: one records losses, one interrupts."""

from __future__ import annotations

from reinit_bench.training.interrupt import Interrupt
from reinit_bench.training.observer import EpochEnd, Observer


class LossRecorder(Observer):
    """Records the loss of every step."""

    def __init__(self) -> None:
        self.epochs: list[list[float]] = []
        """The losses of each epoch's steps."""

    def epoch_ended(self, event: EpochEnd) -> None:
        self.epochs.append(list(event.losses))

    @property
    def losses(self) -> list[float]:
        """The losses of all steps, in order."""
        return [loss for epoch in self.epochs for loss in epoch]


class InterruptAfter(Observer):
    """Asks the run to stop after this many steps, counted over all rounds; pass `interrupt` to the run too."""

    def __init__(self, steps: int) -> None:
        self.steps_left = steps
        self.interrupt = Interrupt()

    def step_done(self, round_index: int, step: int) -> None:
        self.steps_left -= 1
        if self.steps_left == 0:
            self.interrupt.request("the test")
