"""The plan: which runs a sweep has, and what the store and SLURM's queue know about each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.lease import looks_alive
from reinit_bench.store.reader import result_and_status
from reinit_bench.store.store import RunFolder, Store
from reinit_bench.sweep.identity import with_sources

Queued = Mapping[str, Sequence[str]]
"""By run id: the SLURM jobs (like 12_3, or `UNKNOWN`) that will do the run or are at it."""

UNKNOWN = "UNKNOWN"
"""The job of a run of which SLURM says nothing at the moment."""

AskQueue = Callable[[Path], Queued]
"""Tells which runs of a results folder are queued, as `sweep.slurm.queue.queued_runs` does by calling squeue."""

STATES = ("done", "running", "queued", "unknown", "interrupted", "failed", "missing")
"""done: its result validates; running: its lease is alive; queued: in a SLURM job that has not reached it yet;
unknown: it was in a SLURM job, of which SLURM says nothing at the moment; interrupted: stopped, to be resumed; failed:
ended with an error; missing: never started."""

WITHOUT_KIND = "unknown"
"""The error kind of a failed run whose status names none."""


class SweepFailed(ConfigError):
    """Some runs of the sweep failed; the others are not affected."""


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One run of a sweep: what is run, how, and its state.

    Attributes:
        state: one of `STATES`.
        status: the content of the run's `status.json`; empty for a done run, whose file is not read.
    """

    experiment: Experiment
    execution: Execution
    state: str = "missing"
    status: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> PlannedRun:
        """The run that a resolved configuration describes; its state is not looked up yet.

        Raises:
            ConfigError: the configuration is not valid.
        """
        sealed = with_sources(config)
        return cls(experiment=Experiment.from_dict(sealed), execution=Execution.from_dict(sealed))

    def to_dict(self) -> dict[str, Any]:
        """The resolved configuration, fit for JSON; `from_dict` gives the run back."""
        return {**self.experiment.to_dict(), **self.execution.to_dict()}

    @property
    def run_id(self) -> str:
        return self.experiment.run_id

    @property
    def error_kind(self) -> str:
        """Why it failed, in one word: the name of the exception, or WorkerDied."""
        return str(self.status.get("error_kind") or WITHOUT_KIND)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All distinct runs of a sweep, in order.

    Attributes:
        waiting: how many more a tuned study has, whose settings its trials have yet to choose; a sequential, at most.
        bounds: of a sequential study, all of its runs if it ends as early and as late as it may; empty: not asked for.
        left_out: a line for each run of the results folder that cannot be used.
    """

    runs: tuple[PlannedRun, ...]
    waiting: int = 0
    bounds: tuple[Plan, ...] | None = None
    left_out: tuple[str, ...] = ()

    def in_state(self, *states: str) -> list[PlannedRun]:
        """The runs whose state is one of `states`."""
        return [run for run in self.runs if run.state in states]

    def to_run(self, retry: Any = "all") -> list[PlannedRun]:
        """The runs that a launcher starts: those that are not done, running or queued.

        Args:
            retry: which failed runs to include: `all`, `none`, or a kind of error (or a list of kinds).

        Raises:
            ConfigError: no failed run has such a kind of error.
        """
        failed = self.in_state("failed")
        kinds = _retried_kinds(retry, {run.error_kind for run in failed})
        left_out = {run.run_id for run in failed if run.error_kind not in kinds}
        return [run for run in self.in_state("missing", "interrupted", "failed") if run.run_id not in left_out]

    def tidy(self) -> None:
        """Remove what killed processes left in the folders of finished runs."""
        for run in self.in_state("done"):
            Store(run.execution.results_dir).run(run.run_id).tidy()

    @property
    def counts(self) -> dict[str, int]:
        """How many runs are in each state."""
        found = Counter(run.state for run in self.runs)
        return {state: found[state] for state in STATES}

    def looked_up_again(self, queue: AskQueue) -> Plan:
        """The same runs with their current states."""
        return replace(self, runs=tuple(_looked_up(self.runs, queue)))


def make_plan(runs: Iterable[PlannedRun], queue: AskQueue, waiting: int = 0) -> Plan:
    """Drop repeated runs of the same experiment, and look up the state of each.

    Raises:
        ConfigError: squeue does not answer, and `queue` treats that as an error.
    """
    distinct: dict[str, PlannedRun] = {}
    for run in runs:
        distinct.setdefault(run.run_id, run)
    return Plan(runs=tuple(_looked_up(distinct.values(), queue)), waiting=waiting)


def _looked_up(runs: Iterable[PlannedRun], queue: AskQueue) -> Iterable[PlannedRun]:
    places: dict[Path, tuple[Store, Queued]] = {}
    for run in runs:
        folder = run.execution.results_dir
        if folder not in places:
            places[folder] = Store(folder), queue(folder)
        store, queued = places[folder]
        state, status = state_of(run.run_id, store, queued.get(run.run_id, ()))
        yield replace(run, state=state, status=status)


def state_of(run_id: str, store: Store, jobs: Sequence[str] = ()) -> tuple[str, Mapping[str, Any]]:
    """A run's state and the content of its `status.json`, which is not read if the run is done.

    Args:
        jobs: the SLURM jobs that contain the run, if any.
    """
    folder = store.run(run_id)
    return stored_state(folder, *result_and_status(folder), jobs)


def stored_state(
    folder: RunFolder, result: Mapping[str, Any] | None, status: Mapping[str, Any], jobs: Sequence[str] = ()
) -> tuple[str, Mapping[str, Any]]:
    """Like `state_of`, of what has been read already."""
    if result is not None:
        return "done", {}
    state = status.get("state")
    if looks_alive(folder, status):
        return "running", status
    ahead = [job for job in jobs if not (state == "failed" and _has_had_its_turn(job, status.get("slurm_job")))]
    if ahead:
        return ("unknown" if UNKNOWN in ahead else "queued"), status
    if state in ("running", "interrupted"):
        return "interrupted", status
    return ("failed" if state == "failed" else "missing"), status


def _has_had_its_turn(job: str, failed_in: Any) -> bool:
    """Whether a job will not try a failed run again: it, or a job submitted after it, is where the run failed."""
    if job == UNKNOWN or not isinstance(failed_in, str):
        return job == UNKNOWN
    return _array_number(job) <= _array_number(failed_in)


def _array_number(job: str) -> int:
    number = job.partition("_")[0]
    return int(number) if number.isdigit() else 0


def summary_line(plan: Plan) -> str:
    """The number of runs, in all and by state: `18 runs: 6 done, 12 missing`."""
    counts = ", ".join(f"{count} {state}" for state, count in plan.counts.items() if count)
    return f"{len(plan.runs)} run{'s' if len(plan.runs) != 1 else ''}: {counts}"


def waiting_line(waiting: int, *, sequential: bool) -> str:
    """`40 more runs follow when the trials have chosen their settings`."""
    if sequential:
        return f"at most {waiting:,} more run{'s' if waiting != 1 else ''} follow, as trials and looks decide"
    return f"{waiting} more run{'s follow' if waiting != 1 else ' follows'} when the trials have chosen their settings"


def _retried_kinds(retry: Any, found: set[str]) -> set[str]:
    words = [str(word) for word in retry] if isinstance(retry, (list, tuple)) else [str(retry)]
    if words == ["all"]:
        return found
    if words == ["none"]:
        return set()
    kinds = {kind for kind in found if kind.lower() in {word.lower() for word in words}}
    unknown = sorted(word for word in words if word.lower() not in {kind.lower() for kind in found})
    if unknown:
        there = f"kinds here: {', '.join(sorted(found))}" if found else "no run has failed"
        raise ConfigError(f"hydra.launcher.retry={unknown[0]}: must be all, none or a kind of error; {there}")
    return kinds
