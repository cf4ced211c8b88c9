"""Decoding as Pillow does; many images at once: every row in its place, whatever cannot be read is named."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from miniature_archives import photo
from PIL import Image, ImageOps

from reinit_bench.data import pixels as pixels_module
from reinit_bench.data.pixels import AT_ONCE, Decoding, Unreadable, decode, fill
from reinit_bench.data.resize import resize


def encoded(image: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def test_sixteen_bits_keep_their_upper_byte() -> None:
    wide = np.array([[0, 255, 256], [32768, 65280, 65535]], np.uint16)
    np.testing.assert_array_equal(
        decode(encoded(Image.fromarray(wide), "PNG"), Decoding(channels=1))[..., 0], wide >> 8
    )


def test_deeper_images_are_scaled_by_what_is_white_or_refused() -> None:
    wide = np.array([[0, 16, 2048], [4000, 4080, 4095]], np.uint16)
    content = encoded(Image.fromarray(wide), "PNG")
    scaled = decode(content, Decoding(channels=1, white=4095))[..., 0]
    np.testing.assert_array_equal(scaled, [[0, 1, 128], [250, 255, 255]])
    with pytest.raises(Unreadable, match=r"more than 8 bits a pixel \(values up to 4095\); set dataset.white"):
        decode(content, Decoding(white=None))
    with pytest.raises(Unreadable, match="its values, 0 to 4095, do not fit into 0 to 1023"):
        decode(content, Decoding(white=1023))
    counts = encoded(Image.fromarray(np.array([[0, 63]], np.int32)), "TIFF")
    np.testing.assert_array_equal(decode(counts, Decoding(channels=1, white=63))[..., 0], [[0, 252]])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_as_pillow_turns_it(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)).save(stream, kind, exif=exif)
    with Image.open(stream) as image:
        plain, turned = np.asarray(image), np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(decode(stream.getvalue()), plain)
    np.testing.assert_array_equal(decode(stream.getvalue(), Decoding(upright=True)), turned)


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "GIF"])
def test_every_mode_is_as_pillow_converts_it(kind: str, mode: str, upright: bool) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    try:
        Image.fromarray(colours).convert(mode).save(stream, kind)
    except (OSError, ValueError):
        return  # the format has no such mode
    for channels, target in ((3, "RGB"), (1, "L")):
        with Image.open(stream) as stored:
            expected = np.asarray(stored.convert(target)).reshape(6, 8, channels)
        found = decode(stream.getvalue(), Decoding(channels=channels, upright=upright))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("colour", "count"), [(2, 3), (4, 2), (6, 4)])
def test_colours_of_16_bits_are_read_only_where_white_is_their_largest_value(colour: int, count: int) -> None:
    """Pillow keeps the upper byte: of 12-bit data 16 levels."""
    rows = b"".join(b"\0" + np.full((2, count), 4000, ">u2").tobytes() for _ in range(2))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, colour, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    content = b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    assert (decode(content) == 15).all()
    for white in (None, 4095):
        for upright in (False, True):
            with pytest.raises(Unreadable, match="16 bits a colour, of which the upper 8 are read"):
                decode(content, Decoding(white=white, upright=upright))


def test_what_is_no_whole_image_of_a_fixed_range_is_refused() -> None:
    noise = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)), "JPEG")
    for content, message in (
        (b"no image at all", "cannot identify image file"),
        (noise[: len(noise) // 2], "truncated"),
        (encoded(Image.fromarray(np.ones((2, 2), np.float32)), "TIFF"), "no fixed range"),
    ):
        with pytest.raises(Unreadable, match=message):
            decode(content)


@pytest.mark.slow
def test_a_hundred_megapixels_are_read_and_a_limit_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(Image.new("1", (14_000, 14_000)), "PNG")
    assert decode(content, Decoding(channels=1)).shape == (14_000, 14_000, 1)
    monkeypatch.setattr(pixels_module, "MAX_PIXELS", 195_000_000)
    with pytest.raises(Unreadable, match="14000x14000 pixels are more than 195,000,000"):
        decode(content, Decoding(channels=1))


MANY = 2 * AT_ONCE * 3 + 5
"""More images than three cores read at once, and not a whole number of blocks."""


@pytest.fixture
def three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels_module, "cores", lambda: 3)


@pytest.mark.usefixtures("three_cores")
def test_every_image_goes_into_its_row_at_every_size() -> None:
    contents = [photo(seed, kind="PNG", width=9 + seed % 5, height=7) for seed in range(MANY)]
    arrays: dict[int | None, np.ndarray] = {side: np.zeros((MANY, side, side, 3), np.uint8) for side in (6, 8)}
    assert fill(arrays, contents, Decoding()) == {}
    for side, array in arrays.items():
        assert side is not None
        np.testing.assert_array_equal(array, [resize(decode(content), side) for content in contents])


@pytest.mark.usefixtures("three_cores")
def test_unreadable_images_are_told_by_row_and_the_others_stay_in_place() -> None:
    good = photo(1, kind="PNG")
    bad = {0: b"no image", 8: good[:60], MANY - 1: b""}
    array = np.zeros((MANY, 6, 6, 3), np.uint8)
    found = fill({6: array}, (bad.get(row, good) for row in range(MANY)), Decoding())
    assert sorted(found) == sorted(bad)
    assert all(found.values())
    expected = resize(decode(good), 6)
    for row, image in enumerate(array):
        np.testing.assert_array_equal(image, np.zeros_like(image) if row in bad else expected)


@pytest.mark.usefixtures("three_cores")
def test_an_error_of_the_source_is_passed_on() -> None:
    def broken() -> Iterator[bytes]:
        yield from [photo(1)] * 20
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        fill({6: np.zeros((MANY, 6, 6, 3), np.uint8)}, broken(), Decoding())
