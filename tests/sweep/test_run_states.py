"""The state of a run, from what is in its folder and what SLURM says; and which states are run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from factories import tiny_experiment, write_result

from reinit_bench.core.config import Execution
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.files import write_json
from reinit_bench.store.lease import Lease
from reinit_bench.store.process import this_process
from reinit_bench.store.store import RunFolder, Store
from reinit_bench.sweep.plan import UNKNOWN, Plan, PlannedRun, make_plan, state_of, summary_line

EXPERIMENT = tiny_experiment()
NO_LONGER_A_PROCESS = {**this_process(), "began": 1}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = Store(tmp_path).run(EXPERIMENT.run_id)
    run.create()
    return run


def state(folder: RunFolder, *jobs: str) -> str:
    return state_of(folder.run_id, Store(folder.path.parents[1]), jobs)[0]


@pytest.mark.parametrize(
    ("status", "jobs", "expected"),
    [
        ({}, (), "missing"),
        ({}, ("12_0",), "queued"),
        ({}, (UNKNOWN,), "unknown"),
        ({"state": "interrupted"}, (), "interrupted"),
        ({"state": "interrupted"}, ("12_0",), "queued"),
        ({"state": "running", **NO_LONGER_A_PROCESS}, (), "interrupted"),
        ({"state": "running", **NO_LONGER_A_PROCESS}, ("12_0",), "queued"),
        ({"state": "failed"}, (), "failed"),
        ({"state": "failed"}, ("12_0",), "queued"),
        ({"state": "failed", "slurm_job": "12_0"}, ("12_0",), "failed"),
        ({"state": "failed", "slurm_job": "11_0"}, ("12_0",), "queued"),
        ({"state": "failed", "slurm_job": "11_0"}, (UNKNOWN,), "failed"),
        # A task that is still at its other runs lists the run that failed in it; a later job is to try it again.
        ({"state": "failed", "slurm_job": "12_0"}, ("12_0", "13_0"), "queued"),
        ({"state": "failed", "slurm_job": "12_0"}, ("13_0", "12_0"), "queued"),
        ({"state": "failed", "slurm_job": "13_0"}, ("12_0", "13_0"), "failed"),
        ({"state": "failed", "slurm_job": "13_0"}, ("12_0",), "failed"),
    ],
)
def test_a_run_without_a_result(
    folder: RunFolder, status: dict[str, Any], jobs: tuple[str, ...], expected: str
) -> None:
    if status:
        write_json(folder.path / "status.json", status)
    assert state(folder, *jobs) == expected


def test_a_run_that_a_living_process_holds_is_running(folder: RunFolder) -> None:
    lease = Lease(folder)
    lease.acquire()
    assert state(folder) == state(folder, "12_0") == "running"
    lease.release("interrupted")
    assert state(folder) == "interrupted"


@pytest.mark.parametrize("status", [{}, {"state": "failed"}, {"state": "running", **this_process()}])
def test_a_run_with_a_result_is_done_whatever_else_is_said(tmp_path: Path, status: dict[str, Any]) -> None:
    write_result(tmp_path, EXPERIMENT)
    folder = Store(tmp_path).run(EXPERIMENT.run_id)
    write_json(folder.path / "status.json", status)
    assert state(folder) == state(folder, "12_0") == "done"


def test_a_corrupt_result_is_a_failure_that_says_so(folder: RunFolder) -> None:
    write_json(folder.path / "status.json", {"state": "done", "host": "here"})
    (folder.path / "result.json").write_text("{")
    found, status = state_of(folder.run_id, Store(folder.path.parents[1]))
    assert (found, status["error_kind"], status["host"]) == ("failed", "CorruptResult", "here")
    assert "result.json is corrupt" in status["error"]


def planned(tmp_path: Path, *overrides: str) -> PlannedRun:
    return PlannedRun(experiment=tiny_experiment(*overrides), execution=Execution(results_dir=tmp_path))


def test_a_run_that_is_named_twice_is_planned_once_and_looked_up(tmp_path: Path) -> None:
    runs = [planned(tmp_path, f"seed={seed}") for seed in (0, 1, 0, 2)]
    write_result(tmp_path, runs[1].experiment)
    plan = make_plan(runs, lambda results_dir: {runs[3].run_id: ["12_0"]})
    assert [(run.experiment.seed, run.state) for run in plan.runs] == [(0, "missing"), (1, "done"), (2, "queued")]
    assert summary_line(plan) == "3 runs: 1 done, 1 queued, 1 missing"


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A run in each state, and three failures of two kinds; the seed tells them apart."""
    states = ["done", "running", "queued", "unknown", "interrupted", "failed", "failed", "failed", "missing"]
    kinds = {5: {"error_kind": "Diverged"}, 6: {"error_kind": "WorkerDied"}, 7: {}}
    runs = (
        PlannedRun(
            experiment=tiny_experiment(f"seed={seed}"),
            execution=Execution(results_dir=tmp_path),
            state=state,
            status=kinds.get(seed, {}),
        )
        for seed, state in enumerate(states)
    )
    return Plan(runs=tuple(runs))


@pytest.mark.parametrize(
    ("retry", "seeds"),
    [
        ("all", {4, 5, 6, 7, 8}),
        ("none", {4, 8}),
        ("Diverged", {4, 5, 8}),
        ("workerdied", {4, 6, 8}),
        (["Diverged", "unknown"], {4, 5, 7, 8}),
    ],
)
def test_what_is_run_again(plan: Plan, retry: Any, seeds: set[int]) -> None:
    assert {run.experiment.seed for run in plan.to_run(retry)} == seeds


def test_a_kind_of_error_that_no_run_has_is_refused(plan: Plan) -> None:
    with pytest.raises(ConfigError, match=r"retry=Divergd: .*; kinds here: Diverged, WorkerDied, unknown$"):
        plan.to_run("Divergd")
