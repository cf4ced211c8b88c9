"""The learning rate of each step within a round, relative to the round's own."""

from __future__ import annotations

import math

from reinit_bench.core.config import Trainer


def is_constant(trainer: Trainer) -> bool:
    """Whether every step has the round's own learning rate (which a plateau may lower after an epoch)."""
    return trainer.schedule != "cosine" and trainer.warmup_steps == 0


def factor(trainer: Trainer, step: int, max_steps: int) -> float:
    """What step number `step` (from 0) of a round of at most `max_steps` multiplies the learning rate by.

    It rises linearly over `trainer.warmup_steps`, the last of which has all of it. A cosine then falls from 1 towards
    0, which it would have one step after the last.
    """
    if step < trainer.warmup_steps:
        return (step + 1) / trainer.warmup_steps
    if trainer.schedule != "cosine":
        return 1.0
    return 0.5 * (1.0 + math.cos(math.pi * (step - trainer.warmup_steps) / (max_steps - trainer.warmup_steps)))
