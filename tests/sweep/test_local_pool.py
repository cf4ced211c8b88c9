"""The local pool, as a user starts it, with real kills: one harms one run, and the same command again completes all."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from factories import TINY
from sweep_command import KILLABLE, SweepCommand, reproducible_results, wait_for

from reinit_bench.training.interrupt import EXIT_INTERRUPTED

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]

THREE = (*KILLABLE, "method=bl,fc,lw", "hydra.launcher.workers=2", "hydra.launcher.threads=1", "trainer.max_steps=120")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    sweep = SweepCommand(tmp_path_factory.mktemp("undisturbed") / "results", *THREE)
    assert "3 done" in sweep.run()
    return reproducible_results(sweep.store)


@pytest.fixture
def sweep(tmp_path: Path) -> SweepCommand:
    return SweepCommand(tmp_path / "results", *THREE)


def test_kill_9_of_a_worker_costs_one_run_a_second_attempt(sweep: SweepCommand, undisturbed: dict[str, Any]) -> None:
    process = sweep.start()
    cut = sweep.wait_for_mid_round(round_index=1)[0]
    os.kill(sweep.store.run(cut).status()["pid"], signal.SIGKILL)
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    assert "killed by SIGKILL (out of memory, or killed by hand); resuming from its checkpoint" in printed
    assert reproducible_results(sweep.store) == undisturbed
    attempts = sweep.attempts()
    assert attempts.pop(cut) == 2
    assert set(attempts.values()) == {1}


def test_a_run_whose_worker_dies_twice_fails_alone(sweep: SweepCommand, undisturbed: dict[str, Any]) -> None:
    process = sweep.start()
    victim = sweep.wait_for_mid_round(round_index=1)[0]
    for attempt in (1, 2):

        def at_work(attempt: int = attempt) -> bool:
            status = sweep.store.run(victim).status()
            return status["state"] == "running" and status["attempt"] == attempt and psutil.pid_exists(status["pid"])

        sweep.wait_for(at_work, f"attempt {attempt}")
        os.kill(sweep.store.run(victim).status()["pid"], signal.SIGKILL)
    printed, _ = process.communicate()
    assert process.returncode == 1, printed
    assert "1 run failed" in printed.splitlines()[-1]
    assert "Traceback" not in printed
    status = sweep.store.run(victim).status()
    assert (status["state"], status["error_kind"]) == ("failed", "WorkerDied")
    assert "killed by SIGKILL" in status["error"]
    others = {run_id: found for run_id, found in undisturbed.items() if run_id != victim}
    assert reproducible_results(sweep.store) == others
    assert "1 failed: WorkerDied" in sweep.subcommand("status")
    # With retry=none it leaves the failure alone; by default it resumes from the checkpoint.
    left_alone = sweep.run("hydra.launcher.retry=none", code=1)
    assert "1 failed before and not tried again" in left_alone.splitlines()[-1]
    assert sweep.store.run(victim).status() == status
    sweep.run()
    assert reproducible_results(sweep.store) == undisturbed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR2])
def test_a_signal_checkpoints_all_runs_and_says_how_to_resume(
    sweep: SweepCommand, undisturbed: dict[str, Any], number: signal.Signals
) -> None:
    process = sweep.start()
    at_work = sweep.wait_for_mid_round(count=2, round_index=1)
    if number == signal.SIGINT:  # as a terminal does: to the pool and all of its workers
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    printed, _ = process.communicate()
    assert process.returncode == EXIT_INTERRUPTED, printed
    assert "the same command resumes from the checkpoints" in printed.splitlines()[-1]
    assert "Traceback" not in printed
    assert "2 interrupted; " in printed.splitlines()[-2]
    assert printed.splitlines()[-2].endswith(" not begun")
    assert {sweep.store.run(run_id).status()["state"] for run_id in at_work} == {"interrupted"}
    sweep.run()
    assert reproducible_results(sweep.store) == undisturbed
    assert all(sweep.attempts()[run_id] == 2 for run_id in at_work)


def test_kill_9_of_the_pool_leaves_no_worker_behind(sweep: SweepCommand, undisturbed: dict[str, Any]) -> None:
    process = sweep.start()
    at_work = sweep.wait_for_mid_round(count=2, round_index=1)
    workers = [psutil.Process(sweep.store.run(run_id).status()["pid"]) for run_id in at_work]
    process.kill()
    process.communicate()
    wait_for(lambda: not any(_lives(worker) for worker in workers), "the workers' end")
    assert {sweep.store.run(run_id).status()["state"] for run_id in at_work} == {"interrupted"}
    sweep.run()
    assert reproducible_results(sweep.store) == undisturbed


def test_two_commands_at_once_share_the_work(sweep: SweepCommand, undisturbed: dict[str, Any]) -> None:
    processes = [sweep.start(), sweep.start()]
    printed = [process.communicate()[0] for process in processes]
    for process, lines in zip(processes, printed, strict=True):  # 1 if it left runs that the other was still training
        assert process.returncode == ("held by another process" in lines.splitlines()[-1]), printed
    assert reproducible_results(sweep.store) == undisturbed
    assert set(sweep.attempts().values()) == {1}


def test_a_failing_run_fails_alone(tmp_path: Path) -> None:
    """lr=1e30 overflows."""
    sweep = SweepCommand(tmp_path / "results", *TINY, "method=bl", "trainer.lr=0.01,1e30,0.02")
    printed = sweep.run(code=1)
    assert "2 done; 1 failed" in printed
    assert "Traceback" not in printed
    assert len(reproducible_results(sweep.store)) == 2


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
