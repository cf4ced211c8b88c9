"""When the learning rate is halved, which weights are best, and when a round has converged (Section 3)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Decision:
    """What one epoch's validation says."""

    best: bool
    """These weights are the best so far."""
    halve: bool
    """The validation error is on a plateau: lower the learning rate now."""
    converged: bool
    """The round is over."""


@dataclass
class Stopping:
    """Watches the validation error, epoch by epoch.

    The best weights are those with the highest accuracy, and among equals those with the lowest loss. Plateau and
    convergence look at the error (1 - accuracy) alone: a loss that still creeps down on a saturated validation set is
    not progress in the paper's sense.
    """

    plateau_epochs: int
    patience_epochs: int | None
    """None: a round never converges."""
    best_accuracy: float = -1.0
    best_loss: float = math.inf
    since_improved: int = 0
    since_changed: int = 0
    """Epochs since the error improved or the learning rate was lowered, whichever came last."""

    def update(self, accuracy: float, loss: float) -> Decision:
        """Take in one epoch's validation accuracy (fraction) and mean loss."""
        improved = accuracy > self.best_accuracy
        best = improved or (accuracy == self.best_accuracy and loss < self.best_loss)
        if best:
            self.best_accuracy, self.best_loss = accuracy, loss
        self.since_improved = 0 if improved else self.since_improved + 1
        self.since_changed = 0 if improved else self.since_changed + 1
        halve = self.since_changed >= self.plateau_epochs
        if halve:
            self.since_changed = 0
        converged = self.patience_epochs is not None and self.since_improved >= self.patience_epochs
        return Decision(best=best, halve=halve, converged=converged)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint; `Stopping(**values)` restores it."""
        return asdict(self)
