"""Round: training until convergence, between two reinitializations."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round of an experiment.

    Attributes:
        index: which round of the experiment, from 1.
        block: Algorithm 1's k, the block that the round works on, from 1; 0 if the method works on no single block.
        repeat: Algorithm 1's n, which repetition on that block this is, from 1.
        max_steps: maximum number of training steps in this round.
        stage: which stage of the data it belongs to, from 1 (`dataset.stages`).
    """

    index: int
    block: int
    repeat: int
    max_steps: int
    stage: int = 1
