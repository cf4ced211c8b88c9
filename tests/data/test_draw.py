from __future__ import annotations

import random
from collections import Counter

import pytest

from reinit_bench.core.settings import ConfigError
from reinit_bench.data.preparing.splits import draw_per_class, draw_share

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
