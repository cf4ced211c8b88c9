"""Sweeps on a real SLURM, killed in every way that a cluster kills; the same command again always completes them."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from factories import TINY
from real_cluster import Cluster
from sweep_command import KILLABLE, TIMEOUT_SECONDS, SweepCommand, reproducible_results, wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(1200)]

TWELVE = (*TINY, "dataset.train_examples=40,50,60", "image_size=8,12", "method=bl,lw")
TWO = (*KILLABLE, "method=fc,lw")
APART = (
    *KILLABLE,
    "method=lw",
    "dataset.train_examples=50,60",
    "hydra.launcher.cpus=4",
    "hydra.launcher.threads=1",
)
"""Two runs that share no data, each in a task that takes a whole node."""

Make = Callable[..., SweepCommand]
Undisturbed = Callable[..., dict[str, Any]]


def without_launcher(overrides: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in overrides if not word.startswith("hydra."))


def test_twelve_runs_in_six_tasks_on_two_nodes(on_slurm: Make, undisturbed: Undisturbed) -> None:
    sweep = on_slurm(*TWELVE)
    printed = sweep.run("hydra.launcher.wait=true", "hydra.launcher.poll_seconds=1")
    # MaxArraySize is 5: six tasks of two runs are two arrays of three.
    assert [line.partition(": ")[2].partition(",")[0] for line in printed.splitlines() if "submitted" in line] == [
        "3 tasks",
        "3 tasks",
    ]
    assert reproducible_results(sweep.store) == undisturbed(*TWELVE)
    assert set(sweep.attempts().values()) == {1}
    batches = [json.loads(path.read_text()) for path in (sweep.results_dir / "slurm").glob("*/batch.json")]
    assert sorted(len(pack) for batch in batches for pack in batch["tasks"]) == [2] * 6
    tasks = {status["slurm_job"] for status in sweep.statuses().values()}
    assert len(tasks) == 6
    assert "12 done" in sweep.run("hydra.launcher.wait=true")
    assert set(sweep.attempts().values()) == {1}


@pytest.mark.parametrize("how", ["scancel --signal", "requeue by hand"])
def test_after_sigterm_or_a_requeue_a_run_resumes_from_its_checkpoint(
    on_slurm: Make, cluster: Cluster, undisturbed: Undisturbed, how: str
) -> None:
    sweep = on_slurm(*TWO)
    sweep.run()
    (cut,) = sweep.wait_for_mid_round()
    (job,) = cluster.queue("%i")
    if how == "requeue by hand":
        cluster.call("scontrol", "requeue", job)
    else:
        cluster.call("scancel", "--signal=TERM", job)
    sweep.wait_for(lambda: sweep.store.run(cut).status()["state"] == "interrupted", "a checkpoint and a release")
    again = sweep.run()
    assert "submitted" not in again  # SLURM has queued it again already
    sweep.wait_for_done(2)
    assert reproducible_results(sweep.store) == undisturbed(*TWO)
    assert sorted(sweep.attempts().values()) == [1, 2]


def test_a_task_at_its_time_limit_is_queued_again(on_slurm: Make, cluster: Cluster, tmp_path: Path) -> None:
    """USR2 comes before the limit, and the task is queued again.

    The limit is set in the middle of the run: with a short one from the start, the signal might come before the run.
    """
    run = (*KILLABLE, "method=lw", "trainer.max_steps=3000", "trainer.checkpoint_every=50")
    sweep = on_slurm(*run, "hydra.launcher.minutes=30", "hydra.launcher.signal_seconds=90")
    reference = SweepCommand(tmp_path / "reference", *run, "hydra.launcher.threads=1")
    uninterrupted = reference.start()
    sweep.run()
    sweep.wait_for_mid_round()
    ((job, elapsed),) = (line.split() for line in cluster.queue("%A %M"))
    minutes = int(elapsed.partition(":")[0])
    cluster.call("scontrol", "update", f"JobId={job}", f"TimeLimit={minutes + 2}")  # one or two minutes from now
    wait_for(lambda: any("queued again" in path.read_text() for path in logs(sweep)), "USR2 and a requeue")
    cluster.call("scontrol", "update", f"JobId={job}", "TimeLimit=60")  # it has been seen; do not wait for more
    sweep.wait_for_done(1)
    uninterrupted.communicate(timeout=TIMEOUT_SECONDS)
    assert reproducible_results(sweep.store) == reproducible_results(reference.store)
    assert set(sweep.attempts().values()) == {2}


def logs(sweep: SweepCommand) -> list[Path]:
    return list((sweep.results_dir / "slurm").glob("*/logs/*.log"))


def test_kill_9_of_a_worker_interrupts_one_run_which_is_resumed(
    on_slurm: Make, cluster: Cluster, undisturbed: Undisturbed
) -> None:
    sweep = on_slurm(*TWO)
    sweep.run()
    (cut,) = sweep.wait_for_mid_round()
    os.kill(sweep.store.run(cut).status()["pid"], signal.SIGKILL)
    sweep.wait_for_done(2)
    assert reproducible_results(sweep.store) == undisturbed(*TWO)
    assert sweep.attempts()[cut] == 2
    assert sorted(sweep.attempts().values()) == [1, 2]


def test_runs_on_a_node_that_dies_are_resumed(on_slurm: Make, cluster: Cluster, undisturbed: Undisturbed) -> None:
    sweep = on_slurm(*APART)
    sweep.run()
    sweep.wait_for_mid_round(2)
    jobs = dict(line.split() for line in cluster.queue("%N %i"))
    lost = next(run_id for run_id, status in sweep.statuses().items() if status["slurm_job"] == jobs["n1"])
    cluster.fail("n1")
    try:
        assert "submitted" not in sweep.run()  # SLURM does not know yet, or has queued it again
        sweep.wait_for_done(2)
    finally:
        cluster.revive("n1")
    assert reproducible_results(sweep.store) == undisturbed(*without_launcher(APART))
    attempts = sweep.attempts()
    assert attempts.pop(lost) == 2
    assert list(attempts.values()) == [1]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_submitter_killed_around_sbatch_submits_once(
    on_slurm: Make,
    cluster: Cluster,
    undisturbed: Undisturbed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    """A wrapper around sbatch kills the command that submits, before SLURM has the array or just after."""
    wrapper = tmp_path / "bin" / "sbatch"
    wrapper.parent.mkdir()
    real = shutil.which("sbatch")
    steps = {"before": "kill -9 $PPID", "after": f'{real} "$@" >/dev/null; kill -9 $PPID'}
    wrapper.write_text(f"#!/bin/sh\n{steps[moment]}\n")
    wrapper.chmod(0o755)
    sweep = on_slurm(*TWO)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
        sweep.run(code=-signal.SIGKILL)
    assert len(cluster.queue()) == (moment == "after")
    again = sweep.run()
    assert ("submitted job" in again) is (moment == "before")
    assert len(cluster.queue()) == 1
    sweep.wait_for_done(2)
    assert reproducible_results(sweep.store) == undisturbed(*TWO)
    assert list(sweep.attempts().values()) == [1, 1]


def test_cancel_writes_checkpoints_and_stays_cancelled(
    on_slurm: Make, cluster: Cluster, undisturbed: Undisturbed
) -> None:
    sweep = on_slurm(*TWO)
    sweep.run()
    (cut,) = sweep.wait_for_mid_round()
    assert "1 tasks with 2 runs" in sweep.subcommand("cancel")
    wait_for(lambda: not cluster.queue(), "an empty queue")
    assert sweep.store.run(cut).status()["state"] == "interrupted"
    assert "submitted job" in sweep.run()
    sweep.wait_for_done(2)
    assert reproducible_results(sweep.store) == undisturbed(*TWO)
    assert sorted(sweep.attempts().values()) == [1, 2]


def test_a_failing_run_fails_alone_and_its_task_says_so(on_slurm: Make, cluster: Cluster) -> None:
    """lr=1e30 overflows: one of the task's three runs fails."""
    sweep = on_slurm(*TINY, "method=bl", "trainer.lr=0.01,1e30,0.02")
    printed = sweep.run("hydra.launcher.wait=true", "hydra.launcher.poll_seconds=1", code=1)
    assert "2 done, 1 failed" in printed
    (job,) = {status["slurm_job"] for status in sweep.statuses().values()}
    wait_for(lambda: cluster.states()[job] == "FAILED", "the task's end, with a failure")
    status = sweep.subcommand("status")
    assert "1 failed: " in status
    # Failures are tried again unless the user says otherwise.
    assert "submitted" not in sweep.run("hydra.launcher.retry=none")
    assert "1 task, 1 run, " in sweep.run()


def test_nodes_that_do_not_see_the_results_folder(on_slurm: Make, cluster: Cluster) -> None:
    sweep = on_slurm(*TINY, "method=bl")
    sweep.run("+hydra.launcher.extra.hold=true")
    away = sweep.results_dir.with_name("away")
    sweep.results_dir.rename(away)
    (job,) = cluster.queue("%i")
    cluster.call("scontrol", "release", job.partition("_")[0])
    wait_for(lambda: cluster.states()[job] == "FAILED", "the task's end")
    away.rename(sweep.results_dir)
    assert "does not see results_dir" in sweep.subcommand("status")


EIGHT = (*KILLABLE, "dataset.train_examples=50,60", "method=bl,lw", "seed=0,1")
ACTS = ("kill", "drain", "requeue", "requeue and hold", "hold", "term", "fail")


def disturb(act: str, sweep: SweepCommand, cluster: Cluster, draw: random.Random) -> None:
    """Do to a sweep on a cluster what its users, its neighbours and its power supply do."""
    node, tasks = draw.choice(["n1", "n2"]), [line.split() for line in cluster.queue("%i %T")]
    of_state = {state: [job for job, found in tasks if found == state] for state in ("RUNNING", "PENDING")}
    if act == "kill":
        at_work = [status["pid"] for status in sweep.statuses().values() if status.get("state") == "running"]
        with suppress(ProcessLookupError):
            os.kill(draw.choice(at_work), signal.SIGKILL) if at_work else None
    elif act == "drain":
        cluster.call("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=chaos")
    elif act == "fail":
        cluster.fail(node)
        cluster.revive(node)
    elif act == "hold":
        cluster.try_all("scontrol hold", of_state["PENDING"][:1])
    else:
        command = {"requeue": "scontrol requeue", "requeue and hold": "scontrol requeuehold"}
        cluster.try_all(command.get(act, "scancel --signal=TERM"), of_state["RUNNING"][:1])


def test_a_sweep_under_chaos_ends_with_every_run_done_once(
    on_slurm: Make, cluster: Cluster, undisturbed: Undisturbed
) -> None:
    """Twice through all disturbances, in random order, with the command typed again after each."""
    sweep, draw = on_slurm(*EIGHT), random.Random(0)
    sweep.run()
    for act in draw.sample(ACTS * 2, 2 * len(ACTS)):
        wait_for(lambda: any(line.endswith("RUNNING") for line in cluster.queue()) or not cluster.queue(), "a task")
        disturb(act, sweep, cluster, draw)
        sweep.run()
        # A drained node would stay so, and a task on hold.
        cluster.try_all("scontrol update State=RESUME", ["NodeName=n1", "NodeName=n2"])
        cluster.try_all("scontrol release", [line.split()[0] for line in cluster.queue()])
    while sum(folder.result() is not None for folder in sweep.folders()) < 8:
        wait_for(lambda: not cluster.queue() or "RUNNING" in " ".join(cluster.queue()), "a task or an empty queue")
        sweep.run()  # submits what has used up its attempts
        time.sleep(2.0)
    wait_for(lambda: not cluster.queue(), "an empty queue")
    assert reproducible_results(sweep.store) == undisturbed(*EIGHT)
    done = [line.split()[2] for path in logs(sweep) for line in path.read_text().splitlines() if " done: test " in line]
    assert sorted(done) == sorted(sweep.store.run_ids())
    assert "8 runs: 8 done" in sweep.run()


def test_an_unknown_partition_is_one_line_and_leaves_nothing(on_slurm: Make, cluster: Cluster) -> None:
    sweep = on_slurm(*TINY, "method=bl")
    printed = sweep.run("hydra.launcher.partition=gpuu", code=1)
    last = printed.splitlines()[-1]
    assert "invalid partition" in last
    assert "partitions here: first, main, second" in last
    assert "Traceback" not in printed
    assert not cluster.queue()
    assert not list((sweep.results_dir / "slurm").glob("reinit-bench-*"))


def test_a_task_starts_python_in_the_container_that_the_launcher_names(on_slurm: Make, tmp_path: Path) -> None:
    """A stand-in for apptainer: it notes its words and starts the rest of them, as `apptainer exec` does."""
    apptainer = tmp_path / "apptainer"
    apptainer.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/words\nshift 3\nexec "$@"\n')
    apptainer.chmod(0o755)
    sweep = on_slurm(*TINY, "method=bl,lw")
    inside = f"{apptainer} exec --nv reinit-bench.sif {sys.executable}"
    sweep.run("hydra.launcher.wait=true", "hydra.launcher.poll_seconds=1", f"hydra.launcher.python='{inside}'")
    assert (tmp_path / "words").read_text().startswith("exec --nv reinit-bench.sif ")
    assert [status["state"] for status in sweep.statuses().values()] == ["done", "done"]
    assert len(sweep.store.run_ids()) == 2
