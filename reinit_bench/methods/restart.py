"""Restart, a control: only the optimizer and its learning rate start anew in each round (warm restarts)."""

from __future__ import annotations

from dataclasses import dataclass

from reinit_bench.methods.base import Reinitializer


@dataclass(frozen=True, kw_only=True)
class Restart(Reinitializer):
    """K x N rounds, between which no parameter changes: what the rounds alone are worth."""
