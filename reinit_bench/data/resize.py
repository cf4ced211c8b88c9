"""Resizing of the pixels that are stored: in C if the installation compiled it, else in numpy, to the same bits."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

import numpy as np

COMPILED = Path(__file__).with_name("libresize.so")
"""`resize.c`, which the installation compiles if it can (`hatch_build.py`)."""


def resize(image: np.ndarray, side: int) -> np.ndarray:
    """Resize uint8 pixels (height, width, channels) to (side, side, channels), rounded to whole numbers.

    Bilinear between pixel centres without antialiasing: the values of `tf.image.resize` by default.
    """
    if image.shape[:2] == (side, side):
        return image
    compiled = library()
    return in_numpy(image, side) if compiled is None else in_c(compiled, image, side)


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled function; None if there is none for this machine."""
    try:
        return ctypes.CDLL(str(COMPILED))
    except OSError:
        return None


def in_c(compiled: ctypes.CDLL, image: np.ndarray, side: int) -> np.ndarray:
    """`resize` by the compiled library, without the lock that keeps Python to one thread."""
    height, width, channels = image.shape
    image = np.ascontiguousarray(image, np.uint8)
    resized = np.empty((side, side, channels), np.uint8)
    buffers = np.empty(width * channels, np.float32), np.empty(2 * side * channels, np.float32)
    sizes = map(ctypes.c_ssize_t, (width, side, channels))
    # ctypes keeps no reference to the arrays behind its pointers: they need names until the call is over.
    arrays = *_neighbours(height, side), *_neighbours(width, side), *buffers
    compiled.resize(_pointer(image), _pointer(resized), *sizes, *map(_pointer, arrays))
    return resized


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def in_numpy(image: np.ndarray, side: int) -> np.ndarray:
    """`resize` where there is no compiled library."""
    above, below, down = _neighbours(image.shape[0], side)
    left, right, across = _neighbours(image.shape[1], side)
    across = across[:, None]

    def row_blend(rows: np.ndarray) -> np.ndarray:
        picked = image.take(rows, axis=0)
        first = picked.take(left, axis=1).astype(np.float32)
        return first + (picked.take(right, axis=1) - first) * across

    top = row_blend(above)
    return np.rint(top + (row_blend(below) - top) * down[:, None, None]).astype(np.uint8)


@functools.lru_cache(256)
def _neighbours(length: int, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of `side` outputs: its lower and upper input pixel, and the upper one's weight (float32)."""
    centres = (np.arange(side, dtype=np.float32) + np.float32(0.5)) * np.float32(length / side) - np.float32(0.5)
    lower = np.floor(centres)
    weight = (centres - lower).astype(np.float32)
    last = length - 1
    return np.clip(lower, 0, last).astype(np.intp), np.clip(lower + 1, 0, last).astype(np.intp), weight
