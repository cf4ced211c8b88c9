"""Many images at once: every row in its place, whatever cannot be read is named, and no more is read than is needed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from miniature_archives import photo

from reinit_bench.data import pixels as fill_module
from reinit_bench.data.pixels import AT_ONCE, Decoding, decode, fill
from reinit_bench.data.resize import resize

MANY = 2 * AT_ONCE * 3 + 5
"""More images than three cores read at once, and not a whole number of blocks."""


@pytest.fixture(autouse=True)
def three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill_module, "cores", lambda: 3)


def test_every_image_goes_into_its_row_at_every_size() -> None:
    contents = [photo(seed, kind="PNG", width=9 + seed % 5, height=7) for seed in range(MANY)]
    arrays: dict[int | None, np.ndarray] = {side: np.zeros((MANY, side, side, 3), np.uint8) for side in (6, 8)}
    assert fill(arrays, contents, Decoding()) == {}
    for side, array in arrays.items():
        assert side is not None
        np.testing.assert_array_equal(array, [resize(decode(content), side) for content in contents])


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


def test_images_are_read_only_a_little_ahead_of_their_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded, furthest = 0, 0

    def counting(content: bytes, decoding: Decoding) -> np.ndarray:
        nonlocal decoded
        decoded += 1
        return np.zeros((6, 6, 3), np.uint8)

    def images() -> Iterator[bytes]:
        nonlocal furthest
        for row in range(MANY):
            furthest = max(furthest, row - decoded)
            yield b""

    monkeypatch.setattr(fill_module, "decode", counting)
    fill({6: np.zeros((MANY, 6, 6, 3), np.uint8)}, images(), Decoding())
    assert decoded == MANY
    assert furthest <= AT_ONCE * 3


def test_an_error_of_the_source_or_of_a_thread_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[bytes]:
        yield from [photo(1)] * 20
        raise OSError("the disk is gone")

    array = np.zeros((MANY, 6, 6, 3), np.uint8)
    with pytest.raises(OSError, match="the disk is gone"):
        fill({6: array}, broken(), Decoding())

    def failing(content: bytes, decoding: Decoding) -> np.ndarray:
        raise MemoryError("too large")

    monkeypatch.setattr(fill_module, "decode", failing)
    with pytest.raises(MemoryError, match="too large"):
        fill({6: array}, [b""] * MANY, Decoding())
