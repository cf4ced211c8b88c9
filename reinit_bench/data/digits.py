"""scikit-learn's handwritten digits: 1,797 real 8x8 scans in 10 classes that ship inside the package."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits

from reinit_bench.core.randomness import stream
from reinit_bench.data.source import Dataset, Examples, Source
from reinit_bench.data.splits import stratified

TEST_EXAMPLES = 500


@dataclass(frozen=True, kw_only=True)
class Digits(Source):
    """A fixed stratified split: 1,297 training and 500 test images, one channel, at their native 8x8 pixels."""

    def load(self, image_size: int | None, enlarged_size: int | None, seed: int) -> Dataset:
        scans = load_digits()
        # The scans count 0 to 16 set pixels in each 4x4 cell of the original bitmap.
        images = np.round(scans.images * (255 / 16)).astype(np.uint8)[..., None]
        labels = scans.target.astype(np.int64)
        # Not split_seed: a test set that moved with a setting would make results incomparable.
        test, train = stratified(labels, TEST_EXAMPLES, stream(0, "digits", "test"))
        return Dataset(
            train=Examples(images[train], labels[train]),
            test=Examples(images[test], labels[test]),
            num_classes=10,
        )
