"""How far a run has come, and how long it may still take."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Counts the steps of a run of `rounds` rounds, each of at most `steps_per_round` steps, and measures their rate.

    Attributes:
        round: the round of the last step, from 1; 0 before the first step.
        step: steps of that round so far.
        taken: steps counted here; a resumed run counts from 0 again.
    """

    def __init__(self, rounds: int, steps_per_round: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rounds = rounds
        self.steps_per_round = steps_per_round
        self.round = self.step = self.taken = 0
        self._clock = clock
        self._first_at = 0.0

    def advance(self, round_index: int, step: int) -> None:
        """Count one step: the `step`-th of round `round_index`."""
        # The clock starts after the first step, which also loads kernels and compiles.
        if self.taken == 0:
            self._first_at = self._clock()
        self.taken += 1
        self.round = round_index
        self.step = step

    @property
    def fraction(self) -> float:
        """Share of the run's maximum number of steps that is done, in [0, 1]; rounds that ended early count in full."""
        if self.taken == 0:
            return 0.0
        return ((self.round - 1) * self.steps_per_round + self.step) / (self.rounds * self.steps_per_round)

    def seconds_left(self) -> float | None:
        """Seconds for all remaining steps at the rate so far, evaluations included, if no round ends early.

        None before two steps have been counted.
        """
        if self.taken < 2:
            return None
        seconds_per_step = (self._clock() - self._first_at) / (self.taken - 1)
        return seconds_per_step * ((self.rounds - self.round + 1) * self.steps_per_round - self.step)
