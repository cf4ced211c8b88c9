"""What images and labels a dataset has, however they were packed, and in what a copy differs from the original."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from reinit_bench.core.settings import ConfigError

Image = bytes | Path | np.ndarray
"""An encoded image, its file, or its pixels as uint8 of shape (height, width, channels)."""

Record = tuple[Image, int]
"""An image and its class number."""


class Fingerprint:
    """Four hashes of one split: of all in order, of the images in order, of the labelled images and of the images in
    any order."""

    def __init__(self) -> None:
        self._ordered = hashlib.sha256(), hashlib.sha256()
        self._sums = [0, 0]

    def add(self, image: bytes, label: int) -> None:
        digest = hashlib.sha256(image).digest()
        labelled = f"{label} ".encode() + digest
        for hashed, content in zip(self._ordered, (labelled, digest), strict=True):
            hashed.update(content)
        for place, content in enumerate((hashlib.sha256(labelled).digest(), digest)):
            self._sums[place] += int.from_bytes(content[:8])

    def __str__(self) -> str:
        """E.g. `0123456789abcdef-01234567-01234567-01234567`."""
        ordered, images = (hashed.hexdigest() for hashed in self._ordered)
        labelled, any_order = (f"{total % 2**32:08x}" for total in self._sums)
        return f"{ordered[:16]}-{images[:8]}-{labelled}-{any_order}"


class Seen:
    """What went into a cache, split by split."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._training: set[bytes] = set()
        self.splits: dict[str, Fingerprint] = {}
        self.copies: Counter[str] = Counter()
        """How many images of a split are training images too."""

    def through(self, split: str, records: Iterable[Record]) -> Iterator[Record]:
        """The records of a split, the training split first, each after it has entered the hashes."""
        fingerprint = self.splits.setdefault(split, Fingerprint())
        for image, label in records:
            image = image.read_bytes() if isinstance(image, Path) else image
            content = image.tobytes() if isinstance(image, np.ndarray) else image
            self._hash.update(f"{split} {label} {len(content)} ".encode() + content)
            fingerprint.add(content, label)
            digest = hashlib.sha256(content).digest()
            if split == "train":
                self._training.add(digest)
            elif digest in self._training:
                self.copies[split] += 1
            yield image, label

    @property
    def own(self) -> str:
        """16 hex digits of everything that was seen."""
        return self._hash.hexdigest()[:16]

    def content(self, known: str | None, originals: Mapping[str, str] | None) -> str:
        """The content: that of the original if it is the original's, else a hash of its own.

        Args:
            known: the content of the original; None: it is not known, and nothing is compared.
            originals: the original's fingerprint of each split, where these were written down.

        Raises:
            ConfigError: it is not the original; the message says in what it differs.
        """
        if known is None or originals is None:
            return self.own
        differing = [
            f"{split}: {difference(str(self.splits[split]), original)}"
            for split, original in originals.items()
            if str(self.splits[split]) != original
        ]
        if differing:
            raise ConfigError("; ".join(differing))
        return known


def difference(found: str, original: str) -> str:
    """In what the split with this fingerprint differs from the original."""
    _, images, labelled, any_order = (a == b for a, b in zip(found.split("-"), original.split("-"), strict=True))
    if images:
        return "the images are the original's, in its order, and the labels are not"
    if labelled:
        return "images and labels are the original's, in another order than it, which their names do not tell"
    if any_order:
        return "the images are the original's, and their labels or their places are not"
    return "an image or more has other pixels than the original"
