"""scikit-learn's handwritten digits: 1,797 real 8x8 scans in 10 classes that ship inside the package."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from reinit_bench.core.randomness import stream
from reinit_bench.data.source import Dataset, Examples, Source
from reinit_bench.data.splits import stratified

TEST_EXAMPLES = 500


@dataclass(frozen=True, kw_only=True)
class Digits(Source):
    """A fixed stratified split: 1,297 training and 500 test images, one channel, at their native 8x8 pixels."""

    def fingerprint(self, image_size: int | None, seed: int) -> str | None:
        return None

    def load(self, image_size: int | None, enlarged_size: int | None, seed: int) -> Dataset:
        rows = _rows()
        # The scans count 0 to 16 set pixels in each 4x4 cell of the original bitmap.
        images = np.round(rows[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)[..., None]
        labels = rows[:, -1].astype(np.int64)
        # Not split_seed: a test set that moved with a setting would make results incomparable.
        test, train = stratified(labels, TEST_EXAMPLES, stream(0, "digits", "test"))
        return Dataset(
            train=Examples(images[train], labels[train]),
            test=Examples(images[test], labels[test]),
            num_classes=10,
        )


@cache  # every seed's split is cut from the same scans
def _rows() -> np.ndarray:
    """A row for each scan: 64 pixels and its class.

    They are read from scikit-learn's file: its function would first import most of scikit-learn, SciPy and pandas,
    1.2 s for every process that trains.
    """
    spec = find_spec("sklearn")  # of a top-level package: this imports nothing
    assert spec is not None
    assert spec.origin is not None
    return np.loadtxt(Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
