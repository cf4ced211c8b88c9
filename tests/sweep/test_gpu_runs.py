"""What `benchmarks/gpu_runs.py` counts and recommends; it has not been run on a GPU."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import gpu_runs
from gpu_runs import Measured, Pace, equal_bits, points_apart, recommended


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in its only element."""
    now = [0.0]
    monkeypatch.setattr(gpu_runs.time, "perf_counter", lambda: now[0])
    return now


def paced(clock: list[float], workers: int, *events: tuple[float, str]) -> float | None:
    pace = Pace(workers)
    for clock[0], kind in events:
        pace.hear(None, kind, {})  # type: ignore[arg-type]
    return pace.runs_per_hour()


def test_only_the_time_in_which_all_workers_are_at_work_counts(clock: list[float]) -> None:
    """The second worker starts late; its first run is not counted, nor is the end, when one is left alone."""
    late = [(0, "started"), (1, "done"), (1, "started"), (2, "started"), (3, "done"), (3, "started")]
    steady = [(at, kind) for at in (10, 14, 18, 22) for kind in ("done", "started")]
    end = [(26, "done"), (90, "done")]
    assert paced(clock, 2, *late, *steady, *end) == pytest.approx(3600 * 4 / (26 - 10))
    assert paced(clock, 2, *late, (26, "done"), (90, "done")) is None
    alone = [(at, kind) for at in (0, 5, 10, 15) for kind in ("started", "done")]
    assert paced(clock, 1, *alone) == pytest.approx(3600 * 3 / 15)


def test_few_workers_that_are_nearly_as_fast_are_recommended() -> None:
    rates = {("auto", 1): 100.0, ("graph", 4): 570.0, ("none", 4): 590.0, ("graph", 8): 600.0, ("graph", 2): 400.0}
    best = recommended([Measured(compile_, workers, rate, {}) for (compile_, workers), rate in rates.items()])
    assert (best.compile, best.workers) == ("none", 4)


def test_results_are_compared_over_the_seeds_that_both_have() -> None:
    one = {seed: {"weights_sha256": str(seed), "test_accuracy": 0.5} for seed in range(4)}
    other = {**one, 1: {"weights_sha256": "x", "test_accuracy": 0.53}, 9: {"weights_sha256": "y", "test_accuracy": 0}}
    assert equal_bits(one, other) == "3 of 4"
    assert points_apart(one, other) == pytest.approx(3.0)
