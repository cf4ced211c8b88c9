"""The paper's whole grid on a simulated cluster that preempts and fails: every run is done, and none is done twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulated_cluster import Weather
from simulated_study import study_on


@pytest.mark.slow
@pytest.mark.long
def test_the_papers_grid_completes_on_an_unreliable_cluster(tmp_path: Path) -> None:
    """A GPU is preempted every five hours and fails every fifty; after 20 requeues a task waits for a new command."""
    weather = Weather(preempted_per_hour=0.2, killed_per_hour=0.02)
    report = study_on(64, tmp_path, weather, max_array_size=101, max_requeues=20)
    cluster = report.cluster
    assert len(cluster.done_at) == len(cluster.work) == 2448  # the simulation itself refuses to end a run twice
    assert cluster.counts["preempted"] > 500
    assert cluster.counts["killed"] > 50
    assert report.typed > 1  # some tasks used up their requeues, and the same command submitted them again
    assert cluster.counts["submissions"] > cluster.counts["tasks"] / 101
    lost_share = cluster.lost_seconds / sum(cluster.work.values())
    assert 0 < lost_share < 0.01
    # No schedule is shorter than the work; interruptions and uneven tasks must not make it much longer.
    assert report.ideal_seconds < report.makespan_seconds < 2 * report.ideal_seconds


def test_repeating_a_submitted_study_submits_nothing(tmp_path: Path) -> None:
    report = study_on(
        4, tmp_path, Weather(preempted_per_hour=0, killed_per_hour=0), study="demo", type_every_hours=0.01
    )
    assert len(report.cluster.done_at) == 30
    assert report.typed > 3
    assert report.cluster.counts["submissions"] == 1
    assert report.cluster.counts["completed"] == report.cluster.counts["tasks"]
