from __future__ import annotations

import numpy as np
import pytest

from reinit_bench.core.randomness import stream
from reinit_bench.core.settings import ConfigError
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
