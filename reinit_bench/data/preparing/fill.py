"""Decodes many images on all cores, into the arrays of a cache."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from reinit_bench.core.machine import cores
from reinit_bench.data.pixels import Decoding, Unreadable, decode
from reinit_bench.data.resize import resize

BLOCK = 8
"""Images that a thread takes at a time: decoding a tiny image costs less than handing it over."""
AHEAD = 8
"""Blocks for each core that are read before they are decoded: their encoded bytes are held in memory."""


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
    waiting: deque[Future[None]] = deque()
    with ThreadPoolExecutor(cores()) as pool:
        while block := list(itertools.islice(rows, BLOCK)):
            waiting.append(pool.submit(work, block))
            if len(waiting) > AHEAD * cores():
                waiting.popleft().result()
        for future in waiting:
            future.result()
    return unreadable
