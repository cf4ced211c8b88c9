from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from reinit_bench.data.digits import Digits


def test_counts_classes_and_range() -> None:
    data = Digits().load(32, None, 0)
    assert (len(data.train), len(data.test), data.num_classes) == (1297, 500, 10)
    assert data.train.inputs.shape == (1297, 8, 8, 1)
    assert data.train.inputs.dtype == np.uint8
    assert (data.train.inputs.min(), data.train.inputs.max()) == (0, 255)
    assert set(np.bincount(data.test.labels)) <= set(range(48, 52))


def test_the_two_splits_hold_every_digit_once() -> None:
    data = Digits().load(32, None, 0)
    scans = load_digits()
    ours = np.concatenate([data.train.inputs, data.test.inputs]).reshape(1797, 64)
    labels = np.concatenate([data.train.labels, data.test.labels])
    theirs = np.round(scans.data * (255 / 16)).astype(np.uint8)
    assert sorted(map(bytes, np.c_[ours, labels.astype(np.uint8)])) == sorted(
        map(bytes, np.c_[theirs, scans.target.astype(np.uint8)])
    )


def test_neither_the_runs_seed_nor_the_split_seed_changes_the_test_set() -> None:
    one, other = Digits().load(32, None, 0), Digits(split_seed=5).load(64, 71, 3)
    np.testing.assert_array_equal(one.test.inputs, other.test.inputs)
