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


def test_each_class_keeps_its_share() -> None:
    drawn, rest = draw(10)
    assert np.bincount(LABELS[drawn]).tolist() == [5, 3, 2]
    assert np.bincount(LABELS[rest]).tolist() == [45, 27, 18]


def test_what_rounding_leaves_goes_to_the_largest_remainders() -> None:
    # Exact shares of 7: 3.5, 2.1 and 1.4; one is left over.
    assert np.bincount(LABELS[draw(7)[0]]).tolist() == [4, 2, 1]
    # Of two equal remainders the lower class wins.
    drawn, _ = stratified(np.array([0, 0, 1, 1]), 1, stream(0, "test"))
    assert np.array([0, 0, 1, 1])[drawn].tolist() == [0]


def test_drawn_and_rest_are_ascending_and_complete() -> None:
    drawn, rest = draw(33)
    assert (np.diff(drawn) > 0).all()
    assert (np.diff(rest) > 0).all()
    assert sorted([*drawn, *rest]) == list(range(100))


def test_the_stream_alone_decides() -> None:
    np.testing.assert_array_equal(draw(10)[0], draw(10)[0])
    assert draw(10)[0].tolist() != draw(10, seed=1)[0].tolist()


@pytest.mark.parametrize(("count", "drawn"), [(0, 0), (100, 100)])
def test_none_or_all_can_be_drawn(count: int, drawn: int) -> None:
    assert [len(part) for part in draw(count)] == [drawn, 100 - drawn]


def test_subset_of_the_training_split() -> None:
    np.testing.assert_array_equal(training_subset(LABELS, None, stream(0, "test")), np.arange(100))
    assert np.bincount(LABELS[training_subset(LABELS, 20, stream(0, "test"))]).tolist() == [10, 6, 4]


def test_a_subset_larger_than_the_split_is_refused() -> None:
    with pytest.raises(ConfigError, match="train_examples must be at most 100, the training split's size; got 101"):
        training_subset(LABELS, 101, stream(0, "test"))


def test_a_subset_that_misses_a_class_is_refused() -> None:
    with pytest.raises(ConfigError, match="train_examples=2 leaves 1 classes without an example"):
        training_subset(LABELS, 2, stream(0, "test"))


KEYS = [(number, f"image_{index:04d}.jpg") for number in range(3) for index in range(1, 9)]


def test_the_same_number_is_drawn_from_each_class_and_the_rest_is_sorted() -> None:
    drawn, rest = draw_per_class(KEYS, 3)
    assert [key[0] for key in drawn] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert sorted([*drawn, *rest]) == KEYS
    assert drawn == sorted(drawn)
    assert rest == sorted(rest)


def test_the_order_of_listing_does_not_matter() -> None:
    shuffled = random.Random(1).sample(KEYS, len(KEYS))
    assert draw_per_class(shuffled, 3) == draw_per_class(KEYS, 3)


def test_the_draw_never_changes() -> None:
    drawn, _ = draw_per_class(KEYS, 3)
    assert [int(name[6:10]) for _, name in drawn] == GOLDEN
    assert draw_per_class(KEYS, 3, seed=1) != draw_per_class(KEYS, 3)


GOLDEN = [1, 6, 7, 4, 6, 8, 4, 5, 7]


def test_a_class_with_too_few_images_is_refused() -> None:
    with pytest.raises(ConfigError, match="class 0 has 8 images; 9 are to be drawn"):
        draw_per_class(KEYS, 9)


def test_a_share_of_each_class_is_drawn_and_never_all_of_it() -> None:
    labels = [0] * 10 + [1] * 5 + [2] * 2 + [3]
    drawn = draw_share(labels, 0.2)
    assert Counter(labels[row] for row in drawn) == {0: 2, 1: 1, 2: 1}
    assert drawn == draw_share(labels, 0.2) == {4, 8, 11, 15}
    assert Counter(labels[row] for row in draw_share(labels, 0.99)) == {0: 9, 1: 4, 2: 1}
