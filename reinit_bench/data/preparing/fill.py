"""Decodes many images on all cores, into the arrays of a cache."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from reinit_bench.core.machine import cores
from reinit_bench.data.pixels import Decoding, Unreadable, decode, resize

CHUNK = 1024
"""Images whose encoded bytes are held at a time."""
BLOCK = 32
"""Images that a thread takes at a time: decoding a tiny image costs less than handing it over."""


def fill(arrays: Mapping[int | None, np.ndarray], images: Iterable[bytes | Path], decoding: Decoding) -> dict[int, str]:
    """Decode each image and write it, resized, as the next row of every array.

    Args:
        arrays: side in pixels (None: as the image is) -> uint8 array (n, side, side, channels).
        images: n encoded images, or their files.

    Returns:
        Why images could not be read, by row; their rows are left as they were.
    """
    unreadable: dict[int, str] = {}

    def work(block: list[tuple[int, bytes | Path]]) -> None:
        for row, content in block:
            try:
                image = decode(content, decoding)
            except Unreadable as error:
                unreadable[row] = str(error)
                continue
            for side, array in arrays.items():
                array[row] = image if side is None else resize(image, side)

    rows = enumerate(images)
    with ThreadPoolExecutor(cores()) as pool:
        while chunk := list(itertools.islice(rows, CHUNK)):
            list(pool.map(work, (chunk[start : start + BLOCK] for start in range(0, len(chunk), BLOCK))))
    return unreadable
