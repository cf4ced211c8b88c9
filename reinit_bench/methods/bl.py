"""BL, the baseline: trained once, never reinitialized, with the step budget of all rounds of the others (Section 3)."""

from __future__ import annotations

from dataclasses import dataclass

from reinit_bench.core.rounds import Round
from reinit_bench.methods.base import Reinitializer


@dataclass(frozen=True, kw_only=True)
class Baseline(Reinitializer):
    """One round of at most K x N x max_steps steps."""

    def rounds(self, num_blocks: int, repeats: int, max_steps: int) -> tuple[Round, ...]:
        return (Round(index=1, block=0, repeat=1, max_steps=num_blocks * repeats * max_steps),)
