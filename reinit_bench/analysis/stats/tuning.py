"""The rule by which an arm's trials choose its settings: a sweep trains what it chooses, and the tables report that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

DIVERGED = -math.inf
"""In place of the accuracy of a trial whose training diverged: it is worse than all others, and need not run again."""


def best(tried: Sequence[tuple[T, Sequence[float | None]]]) -> T | None:
    """What has the highest mean validation accuracy over its trials, of equal ones the earliest.

    Args:
        tried: what can be chosen, each with the accuracy of every tuning seed's trial, DIVERGED or None: not ended.

    Returns:
        None where a trial has not ended, or nothing was tried.
    """
    means = []
    for _, found in tried:
        ended = [accuracy for accuracy in found if accuracy is not None]
        if len(ended) < len(found):
            return None
        means.append(sum(ended) / len(ended))
    return tried[means.index(max(means))][0] if means else None
