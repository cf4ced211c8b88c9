"""A training split drawn by file name, the same on every file system and with every version of every library."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

from reinit_bench.core.settings import ConfigError

Key = tuple[int, str]
"""Class number and file name of an image: unique in its dataset."""


def draw_per_class(keys: Iterable[Key], count: int, seed: int = 0) -> tuple[list[Key], list[Key]]:
    """Draw `count` images of each class; returns (drawn, the rest), each sorted by class and name.

    An image's lot is the SHA-256 of the seed, its class and its name; the lowest are drawn.

    Raises:
        ConfigError: a class has fewer images.
    """
    classes: dict[int, list[Key]] = defaultdict(list)
    for key in sorted(keys):
        classes[key[0]].append(key)
    drawn: set[Key] = set()
    for number, members in classes.items():
        if len(members) < count:
            raise ConfigError(f"class {number} has {len(members)} images; {count} are to be drawn for training")
        drawn.update(sorted(members, key=lambda key: _lot(key, seed))[:count])
    everything = [key for members in classes.values() for key in members]
    return [key for key in everything if key in drawn], [key for key in everything if key not in drawn]


def draw_share(labels: Sequence[int], share: float, seed: int = 0) -> set[int]:
    """Draw a share of each class, at least one example, but never all; returns positions in `labels`.

    An example's lot is as in `draw_per_class`, with its position for a name.
    """
    classes: dict[int, list[int]] = defaultdict(list)
    for row, number in enumerate(labels):
        classes[number].append(row)
    drawn: set[int] = set()
    for number, rows in classes.items():
        count = min(max(1, round(share * len(rows))), len(rows) - 1)
        drawn.update(sorted(rows, key=lambda row: _lot((number, str(row)), seed))[:count])
    return drawn


def _lot(key: Key, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}/{key[0]}/{key[1]}".encode()).digest()
