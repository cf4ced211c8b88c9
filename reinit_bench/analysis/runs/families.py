"""The packaged methods by family, in the order that every table and figure has; a user's own come after them."""

from __future__ import annotations

from collections.abc import Iterable

from reinit_bench.analysis.runs import paper

PAPERS = tuple(paper.LETTERS)
"""The paper's six, in its order."""

CONTROLS = ("cold", "restart", "ban")
"""Without these it cannot be said what a reset is good for."""

AT_ROUNDS = ("sp", "llf", "dash", "fire", "snip", "kels", "rifle")
"""They change the network at a round's start, as the paper's do."""

WHILE_TRAINING = ("redo", "l2init", "hare", "swr")
"""They act while a round trains."""

ORDER = (*PAPERS, *CONTROLS, *AT_ROUNDS, *WHILE_TRAINING)


def ordered_methods(names: Iterable[str]) -> list[str]:
    """Distinct methods: the packaged ones in their order, then a user's own alphabetically."""
    return sorted(set(names), key=lambda name: paper.place(name, ORDER))
