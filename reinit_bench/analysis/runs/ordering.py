"""In which order names appear: the paper's first, as the paper has them, then a user's own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from reinit_bench.analysis.runs import paper


def place(name: str, order: Sequence[str]) -> tuple[int, str]:
    """A key that sorts the names in `order` as they are there, and all others after them alphabetically."""
    return (order.index(name) if name in order else len(order)), name


def ordered_models(names: Iterable[str]) -> list[str]:
    """Distinct architectures."""
    return sorted(set(names), key=lambda name: place(name, paper.MODELS))


def ordered_methods(names: Iterable[str]) -> list[str]:
    """Distinct methods."""
    return sorted(set(names), key=lambda name: place(name, tuple(paper.LETTERS)))


def natural(text: str) -> tuple[str | float, ...]:
    """A key that compares the numbers in texts as numbers: 32 comes before 128."""
    pieces = re.split(r"(\d+(?:\.\d+)?)", text)
    return tuple(float(piece) if index % 2 else piece for index, piece in enumerate(pieces))
