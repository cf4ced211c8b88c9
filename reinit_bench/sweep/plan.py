"""The plan: which runs a sweep has, and what the store says of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reinit_bench.config import Execution, Experiment
from reinit_bench.lease import is_alive
from reinit_bench.store import CorruptResult, Store

STATES = ("done", "running", "interrupted", "failed", "missing")
"""done: a result that validates; running: a living lease; interrupted: cut, to be gone on with; failed: ended with an
error; missing: never begun."""


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One run of a sweep, its configuration frozen.

    Attributes:
        config: the resolved configuration, execution part included; a worker composes nothing.
        state: one of `STATES`.
        status: what the run's `status.json` says.
    """

    experiment: Experiment
    config: Mapping[str, Any]
    state: str
    status: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        return self.experiment.run_id


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All distinct runs of a sweep, in order."""

    runs: tuple[PlannedRun, ...]

    def in_state(self, *states: str) -> list[PlannedRun]:
        """The runs whose state is one of `states`."""
        return [run for run in self.runs if run.state in states]

    @property
    def counts(self) -> dict[str, int]:
        """How many runs are in each state."""
        found = Counter(run.state for run in self.runs)
        return {state: found[state] for state in STATES}


def make_plan(configs: Iterable[Mapping[str, Any]]) -> Plan:
    """Validate resolved configurations, drop those that describe the same experiment, and look each up in the store.

    Raises:
        ConfigError: a configuration is not valid; nothing has been started.
    """
    runs: dict[str, PlannedRun] = {}
    for config in configs:
        experiment = Experiment.from_dict(config)
        if experiment.run_id not in runs:
            state, status = state_of(experiment.run_id, Store(Execution.from_dict(config).results_dir))
            runs[experiment.run_id] = PlannedRun(experiment=experiment, config=config, state=state, status=status)
    return Plan(runs=tuple(runs.values()))


def state_of(run_id: str, store: Store) -> tuple[str, dict[str, Any]]:
    """A run's state and what its `status.json` says."""
    folder = store.run(run_id)
    status = folder.status()
    try:
        if folder.result() is not None:
            return "done", status
    except CorruptResult as error:
        # Not done, and not silently missing either: a worker sets it aside and runs it again.
        return "failed", {**status, "error": str(error)}
    state = status.get("state")
    if state == "running":
        return ("running" if is_alive(status) else "interrupted"), status
    if state in ("interrupted", "failed"):
        return str(state), status
    return "missing", status
