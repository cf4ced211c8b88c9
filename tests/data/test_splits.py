"""Which examples are used for what: stratified draws of ours, and the draws of preparing."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from reinit_bench.core.randomness import stream
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.preparing.splits import draw_per_class, draw_share
from reinit_bench.data.splits import stratified, training_subset

LABELS = np.array([0] * 50 + [1] * 30 + [2] * 20)


def draw(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return stratified(LABELS, count, stream(seed, "test"))


def test_what_rounding_leaves_goes_to_the_largest_remainders() -> None:
    # Exact shares of 7: 3.5, 2.1 and 1.4; one is left over.
    assert np.bincount(LABELS[draw(7)[0]]).tolist() == [4, 2, 1]
    # Of two equal remainders the lower class wins.
    drawn, _ = stratified(np.array([0, 0, 1, 1]), 1, stream(0, "test"))
    assert np.array([0, 0, 1, 1])[drawn].tolist() == [0]


def test_subset_of_the_training_split() -> None:
    np.testing.assert_array_equal(training_subset(LABELS, None, stream(0, "test")), np.arange(100))
    assert np.bincount(LABELS[training_subset(LABELS, 20, stream(0, "test"))]).tolist() == [10, 6, 4]


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (101, "train_examples must be at most 100, the training split's size; got 101"),
        (2, "train_examples=2 leaves 1 classes without an example"),
    ],
)
def test_a_subset_that_cannot_be_drawn_is_refused(count: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        training_subset(LABELS, count, stream(0, "test"))


KEYS = [(number, f"image_{index:04d}.jpg") for number in range(3) for index in range(1, 9)]


def test_the_draw_of_as_many_of_each_class_never_changes() -> None:
    drawn, rest = draw_per_class(random.Random(1).sample(KEYS, len(KEYS)), 3)
    assert [(number, int(name[6:10])) for number, name in drawn] == [
        *((0, 1), (0, 6), (0, 7)),
        *((1, 4), (1, 6), (1, 8)),
        *((2, 4), (2, 5), (2, 7)),
    ]
    assert rest == sorted(set(KEYS) - set(drawn))
    assert draw_per_class(KEYS, 3, seed=1) != draw_per_class(KEYS, 3)
    with pytest.raises(ConfigError, match="class 0 has 8 images; 9 are to be drawn"):
        draw_per_class(KEYS, 9)


def test_a_share_of_each_class_is_drawn_and_never_all_of_it() -> None:
    labels = [0] * 10 + [1] * 5 + [2] * 2 + [3]
    drawn = draw_share(labels, 0.2)
    assert Counter(labels[row] for row in drawn) == {0: 2, 1: 1, 2: 1}
    assert drawn == draw_share(labels, 0.2) == {4, 8, 11, 15}
    assert Counter(labels[row] for row in draw_share(labels, 0.99)) == {0: 9, 1: 4, 2: 1}
