"""What the sweep's tests share: plans from overrides."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reinit_bench.cli.compose import Composer
from reinit_bench.sweep.plan import Plan, make_plan
from reinit_bench.sweep.slurm.queue import queued_runs


@pytest.fixture
def plan_of(hydra_composer: Composer) -> Callable[..., Plan]:
    """The plan of a sweep, from its overrides."""

    def planned(*overrides: str) -> Plan:
        jobs = hydra_composer.jobs(overrides)
        return make_plan(hydra_composer.planned(jobs), queued_runs)

    return planned
