"""What the sweep's tests share: one composer for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from reinit_bench.compose import Composer, composer, sweep_jobs
from reinit_bench.sweep.plan import Plan, make_plan


@pytest.fixture(scope="session")
def hydra_composer() -> Iterator[Composer]:
    with composer() as built:
        yield built


@pytest.fixture
def plan_of(hydra_composer: Composer) -> Callable[..., Plan]:
    """The plan of a sweep, from its overrides."""

    def planned(*overrides: str) -> Plan:
        jobs = sweep_jobs(hydra_composer.study_of(overrides), overrides)
        return make_plan(hydra_composer.compose(job) for job in jobs)

    return planned
