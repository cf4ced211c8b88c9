from __future__ import annotations

import pytest
from fake_events import FakeClock

from reinit_bench.reporting.pace import Pace


def test_time_left_is_for_all_remaining_rounds_at_the_rate_since_the_first_step() -> None:
    clock = FakeClock()
    pace = Pace(rounds=4, steps_per_round=100, clock=clock)
    clock.now += 60.0  # loading, compiling: not part of the rate
    pace.advance(1, 1)
    for step in range(2, 12):
        clock.now += 0.5
        pace.advance(1, step)
    assert pace.seconds_left() == pytest.approx((400 - 11) * 0.5)


def test_an_evaluation_counts_towards_the_rate() -> None:
    clock = FakeClock()
    pace = Pace(rounds=1, steps_per_round=10, clock=clock)
    pace.advance(1, 1)
    clock.now += 1.0
    pace.advance(1, 2)
    clock.now += 1.0
    assert pace.seconds_left() == pytest.approx(2.0 * 8)


def test_a_round_that_ended_early_gives_its_steps_back() -> None:
    clock = FakeClock()
    pace = Pace(rounds=3, steps_per_round=100, clock=clock)
    pace.advance(1, 1)
    clock.now += 1.0
    pace.advance(2, 1)
    assert pace.seconds_left() == pytest.approx(1.0 * (99 + 100))
    assert pace.fraction == pytest.approx(101 / 300)


def test_a_resumed_run_measures_only_its_own_steps() -> None:
    clock = FakeClock()
    pace = Pace(rounds=4, steps_per_round=100, clock=clock)
    pace.advance(3, 51)
    clock.now += 0.25
    pace.advance(3, 52)
    assert pace.seconds_left() == pytest.approx(0.25 * (48 + 100))
    assert pace.fraction == pytest.approx(252 / 400)
    assert pace.taken == 2


def test_nothing_is_estimated_from_less_than_two_steps() -> None:
    pace = Pace(rounds=2, steps_per_round=10)
    assert pace.seconds_left() is None
    assert pace.fraction == 0.0
    pace.advance(1, 1)
    assert pace.seconds_left() is None


def test_the_last_step_leaves_nothing() -> None:
    pace = Pace(rounds=2, steps_per_round=2)
    for round_index, step in ((1, 1), (1, 2), (2, 1), (2, 2)):
        pace.advance(round_index, step)
    assert pace.seconds_left() == 0.0
    assert pace.fraction == 1.0
