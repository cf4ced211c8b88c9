"""Resizing in C, in numpy and on the device: TensorFlow's values (fixtures/resize.npz), and each other's bits."""

from __future__ import annotations

import ctypes
import os
import platform
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reinit_bench.data import augment
from reinit_bench.data import resize as resize_module
from reinit_bench.data.resize import COMPILED, in_c, in_numpy, resize

FIXTURES = np.load(Path(__file__).parent / "fixtures" / "resize.npz")
CASES = sorted(int(name.removeprefix("input_")) for name in FIXTURES.files if name.startswith("input_"))


def compiled() -> ctypes.CDLL:
    """The compiled library; skips where none can be made."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        pytest.skip("the installation compiles on Linux and x86-64 only")
    if not COMPILED.exists():
        compiler = shlex.split(os.environ.get("CC", "cc"))[0]
        assert shutil.which(compiler) is None, f"{compiler} is here, but {COMPILED} was not compiled: make -B setup"
        pytest.skip("there was no compiler at installation")
    return ctypes.CDLL(str(COMPILED))


def c(image: np.ndarray, side: int) -> np.ndarray:
    return in_c(compiled(), image, side)


def on_the_device(image: np.ndarray, side: int) -> np.ndarray:
    resized: np.ndarray = augment.resize(torch.from_numpy(image).permute(2, 0, 1)[None].float(), side)[0].numpy()
    return resized.transpose(1, 2, 0)


@pytest.mark.parametrize("number", CASES)
@pytest.mark.parametrize("way", [c, in_numpy, on_the_device])
def test_pixels_are_tensorflows(number: int, way: Callable[[np.ndarray, int], np.ndarray]) -> None:
    """Rounded in caches, not on the device."""
    image, expected = FIXTURES[f"input_{number}"], FIXTURES[f"output_{number}"]
    side = expected.shape[1]
    # Of the large ones, three rows are kept.
    found = way(image, side)[slice(None) if len(expected) == side else [0, 111, 223]]
    if way is on_the_device:
        np.testing.assert_allclose(found, expected, atol=2e-3)
    else:
        np.testing.assert_array_equal(found, np.rint(expected).astype(np.uint8))


@settings(max_examples=200, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3])),
    side=st.integers(1, 70),
    extreme=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_both_ways_give_the_same_bits(shape: tuple[int, int, int], side: int, extreme: bool, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    if extreme:
        image = np.where(image > 127, 255, 0).astype(np.uint8)
    np.testing.assert_array_equal(c(image, side), in_numpy(image, side))


def test_pixels_that_do_not_lie_in_a_row_are_resized_too() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    turned = np.rot90(image)
    np.testing.assert_array_equal(c(turned, 16), c(turned.copy(), 16))
    np.testing.assert_array_equal(c(turned, 16), in_numpy(turned, 16))


def test_without_a_compiled_library_numpy_resizes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    image = FIXTURES[f"input_{CASES[0]}"]
    expected = in_numpy(image, 7)
    monkeypatch.setattr(resize_module, "COMPILED", tmp_path / "libresize.so")
    assert resize_module.library.__wrapped__() is None
    monkeypatch.setattr(resize_module, "library", lambda: None)
    np.testing.assert_array_equal(resize(image, 7), expected)
