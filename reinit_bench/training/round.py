"""A round's state, which a checkpoint holds; its result; how it calls back to the run around it; how it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from reinit_bench.training.interrupt import Interrupt
from reinit_bench.training.observer import EpochEnd, Observer


class Diverged(Exception):
    """The loss became NaN or infinite.

    Attributes:
        round: index of the round.
        step: the first step of that round with such a loss, from 1; or, if all batch losses were finite, the step whose
            weights give such a loss in an evaluation.
    """

    def __init__(self, round_index: int, step: int, loss: float) -> None:
        super().__init__(f"the loss became {loss} in round {round_index} at step {step}; try a lower trainer.lr")
        self.round = round_index
        self.step = step


@dataclass
class RoundState:
    """The state of a round in a form that a checkpoint can hold; with the network's weights it is complete."""

    step: int = 0
    epoch: int = 1
    lr: float = 0.0
    losses: list[float] = field(default_factory=list)
    """Cross-entropy of those steps of the current epoch that have been read from the device."""
    correct: int = 0
    """Correct answers in those steps' batches."""
    seen: int = 0
    """Examples in all of the current epoch's batches so far."""
    stopping: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    """State dict of the best weights on validation; empty before the first epoch ends."""
    validation: dict[str, float] = field(default_factory=dict)
    """Validation accuracy and loss of the last epoch."""
    optimizer: dict[str, Any] = field(default_factory=dict)
    hooks: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class RoundResult:
    """The result of a round; accuracies are fractions and belong to the weights that it hands on."""

    index: int
    block: int
    repeat: int
    steps: int
    epochs: int
    train_accuracy: float
    train_loss: float
    validation_accuracy: float | None
    validation_loss: float | None
    test_accuracy: float
    test_loss: float
    lr: float
    """Learning rate at the end."""
    converged: bool
    """Whether the validation error stopped improving for the patience; False: the step limit ended the round."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """How a round calls back to the run around it.

    Attributes:
        observer: is told of steps and epochs.
        interrupt: asks the round to stop.
        save: writes a checkpoint of the given state.
        epoch_ended: records a row of the curve.
    """

    observer: Observer = field(default_factory=Observer)
    interrupt: Interrupt = field(default_factory=Interrupt)
    save: Callable[[RoundState], None] = lambda state: None
    epoch_ended: Callable[[EpochEnd], None] = lambda event: None
