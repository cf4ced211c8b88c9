"""Training curves, small enough that 2,448 of them fit in one page."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from reinit_bench.store.checks import HISTORY, ROUNDS
from reinit_bench.store.files import StoreError
from reinit_bench.store.store import RunFolder, Store

POINTS = 60
"""Most points of one curve."""


def curves(store: Store, run_ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """The curve of each run whose `history.jsonl` can be read; of the others, those that are harmed are named."""
    found = {run_id: curve(store.run(run_id)) for run_id in run_ids}
    return {run_id: one for run_id, one in found.items() if one is not None}


def curve(folder: RunFolder) -> Mapping[str, Any] | None:
    """`x` (steps), `t` and `v` (training, validation accuracy in thousandths, None where there is none), and `r`, the
    last step of each round with the test accuracy there; None where the file is missing or damaged.
    """
    try:
        points, rounds = folder.rows(HISTORY, kept), folder.rows(ROUNDS)
        x = [point["total_step"] for point in points]
        ends = list(accumulate(one["steps"] for one in rounds))
    except StoreError as error:
        warnings.warn(str(error), stacklevel=2)
        return None
    except KeyError:
        return None
    tests = [_thousandths(one.get("test_accuracy")) for one in rounds]
    train = [_thousandths(point.get("train_accuracy")) for point in points]
    validation = [_thousandths(point.get("validation_accuracy")) for point in points]
    return {"x": x, "t": train, "v": validation, "r": list(zip(ends, tests, strict=True))} if x else None


def kept(count: int, most: int = POINTS) -> list[int]:
    """At most `most` places of `count`, evenly spread, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(place * (count - 1) / (most - 1)) for place in range(most)})


def _thousandths(fraction: float | None) -> int | None:
    return None if fraction is None else round(1000 * fraction)
