from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from reinit_bench.data.digits import Digits


def test_the_two_splits_hold_every_digit_once_whatever_the_seeds() -> None:
    data, other, scans = Digits().load(32, None, 0), Digits(split_seed=5).load(64, 71, 3), load_digits()
    np.testing.assert_array_equal(data.test.inputs, other.test.inputs)
    assert (len(data.train), len(data.test), data.num_classes) == (1297, 500, 10)
    assert set(np.bincount(data.test.labels)) <= set(range(48, 52))
    ours = np.concatenate([data.train.inputs, data.test.inputs]).reshape(1797, 64)
    labels = np.concatenate([data.train.labels, data.test.labels]).astype(np.uint8)
    theirs = np.round(scans.data * (255 / 16)).astype(np.uint8)
    assert sorted(map(bytes, np.c_[ours, labels])) == sorted(map(bytes, np.c_[theirs, scans.target.astype(np.uint8)]))
