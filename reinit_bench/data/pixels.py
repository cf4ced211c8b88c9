"""From encoded images to uint8 pixels: the one decoder of every photo, for one and for many on all cores."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from reinit_bench.core.machine import cores
from reinit_bench.data.resize import resize

MAX_PIXELS = 500_000_000
"""Larger images are refused: decoding one would take more than 1.5 GB."""

AT_ONCE = 64
"""Images for each core that are read before they are decoded: their encoded bytes are held in memory."""

# Pillow would warn from 90 and refuse from 179 megapixels; `decode` has its own limit and message.
Image.MAX_IMAGE_PIXELS = None


class Unreadable(ValueError):
    """A file is not an image that can be decoded; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How a file becomes pixels. Without arguments as the authors' framework does it."""

    channels: int = 3
    """3: RGB; 1: luminance."""
    upright: bool = False
    """Whether a camera's orientation tag is applied; the authors' framework ignores it."""
    white: int | None = 0xFFFF
    """The value that is white in images of more than 8 bits; None: such images are refused."""


def decode(content: bytes | Path | np.ndarray, decoding: Decoding = Decoding()) -> np.ndarray:
    """Decode any format that Pillow reads into uint8 pixels of shape (height, width, channels).

    Pixels are returned as they are. Transparency is dropped (the colours below it stay), and animations give their
    first frame.

    Raises:
        Unreadable: the content is no image, is cut off, is too large, or has values that do not fit.
    """
    if isinstance(content, np.ndarray):
        return content
    try:
        with Image.open(io.BytesIO(content) if isinstance(content, bytes) else content) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Unreadable(f"{image.width}x{image.height} pixels are more than {MAX_PIXELS:,}")
            _check_depth(image, decoding.white)
            if decoding.upright:
                ImageOps.exif_transpose(image, in_place=True)
            mode = "RGB" if decoding.channels == 3 else "L"
            narrow = _eight_bits(image, decoding.white)
            narrow.load()
            # `convert` would copy an image that has the mode already.
            pixels = np.asarray(narrow if narrow.mode == mode else narrow.convert(mode))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise Unreadable(str(error) or type(error).__name__) from error
    return pixels.reshape(*pixels.shape[:2], decoding.channels)


def _check_depth(image: Image.Image, white: int | None) -> None:
    """Raise Unreadable for colours of 16 bits of which Pillow would keep the wrong ones: it takes the upper byte."""
    deep = image.mode in ("RGB", "RGBA", "LA", "CMYK") and any(
        ";16" in str(tile[3]) for tile in getattr(image, "tile", ())
    )
    if deep and white != 0xFFFF:
        raise Unreadable(
            "16 bits a colour, of which the upper 8 are read: set dataset.white=65535 if white is 65535, or convert it "
            "to 8 bits"
        )


def _eight_bits(image: Image.Image, white: int | None) -> Image.Image:
    """Bring modes that `convert` would clip or complain about to 8 bits a channel."""
    if image.mode == "F":
        raise Unreadable("floating-point pixels have no fixed range")
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.int64)
        if white is None:
            raise Unreadable(f"more than 8 bits a pixel (values up to {wide.max(initial=0)}); set dataset.white")
        if wide.size and not 0 <= wide.min() <= wide.max() <= white:
            raise Unreadable(f"its values, {wide.min()} to {wide.max()}, do not fit into 0 to {white}")
        # White is 255, and of 16 bits just the upper byte is kept.
        return Image.fromarray((wide * 256 // (white + 1)).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA")
    return image


def fill(
    arrays: Mapping[int | None, np.ndarray], images: Iterable[bytes | Path | np.ndarray], decoding: Decoding
) -> dict[int, str]:
    """Decode each image and write it, resized, as the next row of every array.

    Args:
        arrays: side in pixels (None: as the image is) -> uint8 array (n, side, side, channels).
        images: n encoded images, their files, or their pixels.

    Returns:
        Why images could not be read, by row; their rows are left as they were.
    """
    unreadable: dict[int, str] = {}

    def work(block: list[tuple[int, bytes | Path | np.ndarray]]) -> None:
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
        while some := list(islice(rows, AT_ONCE * cores())):
            # A few at a time: decoding a tiny image costs less than handing it over.
            list(pool.map(work, (some[start : start + 8] for start in range(0, len(some), 8))))
    return unreadable
