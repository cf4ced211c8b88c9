"""Whether a run that was trained again is the stored one: to the bit, within rounding of another machine, or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NUMBERS = ("test_accuracy", "validation_accuracy", "train_accuracy", "test_loss", "rounds", "steps")
"""What a result says of its training, apart from the hash of its weights."""

FIRST_LOSS = 1e-3
"""How far, relatively, the mean training losses of the first epoch may be apart: rounding that has not grown yet."""

ACCURACY = 0.03
"""How far the test accuracies may be apart: what rounding has been seen to grow to in short runs (identity.md)."""

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Reproduction:
    """One run, stored and trained again.

    Attributes:
        kind: `bits`, `rounding` or `other`.
        words: what is equal, or how far it is apart.
    """

    kind: str
    words: str


def compared(stored: Mapping[str, Any], curve: Rows, again: Mapping[str, Any], curve_again: Rows) -> Reproduction:
    """Compare a stored result and its curve (`history.jsonl`) with those of the same run, trained again.

    Weights decide where both results have their hash; else all of the result's numbers do.
    """
    before, after = stored.get("weights_sha256"), again.get("weights_sha256")
    numbers = [name for name in NUMBERS if stored.get(name) != again.get(name)]
    if not numbers and (before is None or before == after):
        return Reproduction(
            "bits", "equal to the bit" + ("" if before else " (its numbers; it has no hash of weights)")
        )
    apart = again["test_accuracy"] - stored["test_accuracy"]
    words = f"test accuracy {100 * stored['test_accuracy']:.2f}%, here {100 * again['test_accuracy']:.2f}%"
    first = _first_loss(curve, curve_again)
    if first is None:
        return Reproduction("other", f"{words}; there is no curve that could show why")
    words += f"; training loss of the first epoch apart by {first:.1e}"
    is_rounding = first <= FIRST_LOSS and abs(apart) <= ACCURACY
    return Reproduction("rounding" if is_rounding else "other", words)


def _first_loss(curve: Rows, again: Rows) -> float | None:
    """How far the first rows' losses are apart, relatively; None if these are not of the same step."""
    if not curve or not again or curve[0].get("step") != again[0].get("step"):
        return None
    before, after = (float(rows[0].get("train_loss", "nan")) for rows in (curve, again))
    return abs(after - before) / max(abs(before), 1e-12)
