"""Which of a builder's examples are trained on, validated on and tested on: the same on every machine."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from reinit_bench.core.settings import ConfigError

NONE = "none"
"""In place of a validation split: there is none, and examples of the training split are held out."""


def roles(wanted: Mapping[str, str | None], present: Iterable[str]) -> dict[str, str]:
    """The split that serves as train, as test and, if there is one, as validation.

    What `wanted` leaves open is the split of that name. Without a test split, the validation split is the test split;
    without either it is train, of which a part is then held out.

    Raises:
        ConfigError: there is no such split, or one would serve twice.
    """
    present = list(present)
    named = {"train": "train", **{part: split for part, split in wanted.items() if split is not None}}
    for part, split in named.items():
        if split not in present and (part, split) != ("validation", NONE):
            raise ConfigError(f"it has no split {split!r} for {part}; its splits are {', '.join(present)}")
    if len(set(named.values())) < len(named):
        chosen = ", ".join(f"{part} is {split}" for part, split in named.items())
        raise ConfigError(f"one split cannot serve twice: {chosen}")
    taken = set(named.values())
    if "test" not in named:
        named["test"] = next((split for split in ("test", "validation") if split in {*present} - taken), "train")
    if "validation" not in named and "validation" in {*present} - {*named.values()}:
        named["validation"] = "validation"
    return {part: named[part] for part in ("train", "validation", "test") if named.get(part, NONE) != NONE}


def as_tfds_orders(split: str, keys: Sequence[str]) -> list[int]:
    """The positions of these keys in the order in which TFDS keeps the examples of a split: that of their hashes."""
    salt = hashlib.md5(split.encode(), usedforsecurity=False)

    def hashed(row: int) -> bytes:
        digest = salt.copy()
        digest.update(keys[row].encode())
        return digest.digest()

    return sorted(range(len(keys)), key=hashed)


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
