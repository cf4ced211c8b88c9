"""One process in a run: on one machine, in containers, whatever the clocks say, and whoever wakes up late."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factories import tiny_experiment
from filelock import FileLock
from holders import BEAT, HOLD, kill_all

from reinit_bench.core.config import Execution
from reinit_bench.run.experiment import run_experiment
from reinit_bench.store import lease as lease_module
from reinit_bench.store.files import StoreError, write_json
from reinit_bench.store.lease import Lease, LeaseLost, RunHeld, forget_failed, looks_alive, record_death
from reinit_bench.store.process import found
from reinit_bench.store.store import RunFolder

RUN_ID = "0123456789abcdef"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(lease_module.VARIABLE, str(BEAT))


def in_a_container(*words: str) -> list[str]:
    """The command in a namespace of processes and a host of its own; skips the test where that is not allowed."""
    wrapper = ["unshare", "--pid", "--uts", "--fork", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*wrapper, "true"], capture_output=True).returncode:
        pytest.skip("this user may not make namespaces (unshare)")
    return [*wrapper, *words]


def python(code: str, *words: str) -> list[str]:
    return [sys.executable, "-c", code, *words]


def suspend_all(process: subprocess.Popen[str]) -> None:
    """Stop everything that the process has started; returns when no thread runs any more.

    The signal goes to one thread of a process, and the others run on until that one has had the processor.
    """
    kill_all(process, signal.SIGSTOP)
    while states_of_threads(process.pid) - {"T"}:
        time.sleep(0.01)


def states_of_threads(group: int) -> set[str]:
    """The states of all threads in a group of processes, as in /proc/PID/stat."""
    states = set()
    for stat in Path("/proc").glob("[0-9]*/task/*/stat"):
        with contextlib.suppress(OSError):  # it has ended since
            state, _, number = stat.read_text().rpartition(")")[2].split()[:3]
            if int(number) == group:
                states.add(state)
    return states


def test_a_second_holder_is_told_who_holds_the_run(folder: RunFolder) -> None:
    first = Lease(folder)
    assert first.acquire() is None
    with pytest.raises(RunHeld, match=rf"run {RUN_ID} is held by process {os.getpid()} on .* \(attempt 1\)"):
        Lease(RunFolder(folder.path)).acquire()
    first.release("done")
    second = Lease(RunFolder(folder.path))
    second.acquire()
    assert second.attempt == 2
    second.release("interrupted")
    assert folder.status()["state"] == "interrupted"


def test_a_killed_holder_is_taken_over_at_once(folder: RunFolder, started: Callable[..., Any]) -> None:
    holder = started(python(HOLD, str(folder.path)))
    with pytest.raises(RunHeld, match=f"held by process {holder.pid} "):
        Lease(folder).acquire()
    # Not waited for: a zombie still has its number, and lives no more.
    kill_all(holder, signal.SIGKILL)
    while Path(f"/proc/{holder.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    heir, began = Lease(folder), time.monotonic()
    assert heir.acquire() is None
    assert time.monotonic() - began < lease_module.stale_seconds({}) / 2
    assert (heir.attempt, folder.status()["pid"]) == (2, os.getpid())
    heir.release("done")


@pytest.mark.usefixtures("quick")
def test_a_holder_in_another_container_lives_as_long_as_its_heart_beats(
    folder: RunFolder, started: Callable[..., Any]
) -> None:
    holder = started(in_a_container(*python(HOLD, str(folder.path))))
    assert folder.status()["pid"] < 10  # a number that here is another process's
    assert found(folder.status()) == "unknown"
    assert looks_alive(folder, folder.status())
    with pytest.raises(RunHeld, match="is held by process"):
        Lease(folder).acquire()
    kill_all(holder, signal.SIGKILL)
    heir, began = Lease(folder), time.monotonic()
    assert heir.acquire() is None
    assert time.monotonic() - began >= 9 * BEAT
    heir.release("done")


@pytest.mark.usefixtures("quick")
def test_a_living_holders_clock_does_not_matter(folder: RunFolder, started: Callable[..., Any]) -> None:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        pytest.skip("no libfaketime here; CI installs Debian's")
    # What is set back is the clock that shows the time, as a machine's is; its timers go on.
    clock = {"LD_PRELOAD": str(library), "FAKETIME": "-2h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    started(
        in_a_container("env", *(f"{name}={value}" for name, value in clock.items()), *python(HOLD, str(folder.path)))
    )
    assert folder.status()["heartbeat"] < time.time() - 3600
    with pytest.raises(RunHeld, match="is held by process"):
        Lease(folder).acquire()


def test_a_look_from_elsewhere_goes_by_the_file_systems_clock(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = {"state": "running", "boot_id": "away", "heartbeat": 0.0}
    write_json(folder.path / "status.json", status)
    monkeypatch.setattr(time, "time", lambda: 4e9)  # this machine's clock is decades ahead
    assert looks_alive(folder, status)
    age = lease_module.stale_seconds(status) + 1
    now = (folder.path / "status.json").stat().st_mtime
    os.utime(folder.path / "status.json", (now - age, now - age))
    assert not looks_alive(folder, status)


def test_a_holder_that_was_taken_over_writes_nothing_more(folder: RunFolder) -> None:
    sleeper = Lease(folder)
    sleeper.acquire()
    folder.write_curve([{"index": 1}], [])
    winner = {"state": "running", "token": "another", "host": "elsewhere"}
    write_json(folder.path / "status.json", winner)
    before = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    writes: list[Callable[[], object]] = [
        lambda: folder.write_curve([{"index": 2}], [{"epoch": 1}]),
        lambda: folder.write_diagnostics({"weights.size": [1.0]}),
        lambda: folder.write_config(tiny_experiment()),
        lambda: folder.write_result({"run_id": RUN_ID}),
        lambda: folder.remove_leftovers(),
    ]
    for write in writes:
        with pytest.raises(LeaseLost, match=f"run {RUN_ID} was taken over by another process; this one stops"):
            write()
    sleeper.release("done")
    assert {path.name: path.read_bytes() for path in folder.path.iterdir()} == before


def test_the_heartbeat_outlives_errors(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(lease_module.VARIABLE, "0.05")
    lease = Lease(folder)
    lease.acquire()
    status, failures = folder.status, []

    def unreadable() -> dict[str, Any]:
        failures.append(1)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(folder, "status", unreadable)
    while len(failures) < 3:
        time.sleep(0.01)
    monkeypatch.setattr(folder, "status", status)
    monkeypatch.setattr(folder, "write_status", lambda fields: failing(failures))
    count = len(failures)
    while len(failures) < count + 3:
        time.sleep(0.01)
    monkeypatch.undo()
    lease.update(round=3)
    deadline = time.monotonic() + 10
    while folder.status().get("round") != 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert folder.status()["round"] == 3
    lease.release("done")


def failing(failures: list[int]) -> None:
    failures.append(1)
    raise StoreError("the disk is away")


def test_what_cannot_be_told_to_be_ours_is_not_written(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = Lease(folder)
    lease.acquire()

    def unreadable() -> dict[str, Any]:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(folder, "status", unreadable)
        with pytest.raises(StoreError, match=r"cannot read .*status\.json: Input/output error"):
            folder.write_curve([{"index": 1}], [])
    assert not (folder.path / "rounds.jsonl").exists()
    lease.release("done")


def test_a_silent_death_is_recorded_unless_the_process_lives(folder: RunFolder, started: Callable[..., Any]) -> None:
    holder = started(python(HOLD, str(folder.path)))
    record_death(folder, "its worker process was killed")
    assert folder.status()["state"] == "running"
    kill_all(holder, signal.SIGKILL)
    holder.wait()
    record_death(folder, "its worker process was killed")
    assert (folder.status()["state"], folder.status()["error_kind"]) == ("failed", "WorkerDied")


TRAIN = """
import json, os, sys, torch
from pathlib import Path
from reinit_bench.core.config import Execution, Experiment
from reinit_bench.run.experiment import run_experiment
from reinit_bench.training.observer import Observer

class Slow(Observer):
    def step_done(self, round_index, step):
        if (round_index, step) == (1, 3):
            print("held", flush=True)
            open(sys.argv[3]).read()  # a pipe: until the test lets go

torch.set_num_threads(1)
try:
    experiment = Experiment.from_dict(json.loads(sys.argv[1]))
    run_experiment(experiment, Execution(results_dir=Path(sys.argv[2])), observer=Slow())
except Exception as error:
    print(type(error).__name__, flush=True)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_suspended_process_that_wakes_after_a_takeover_leaves_the_winners_files(
    tmp_path: Path, started: Callable[..., Any]
) -> None:
    experiment = tiny_experiment("method=lw", "trainer.checkpoint_every=1", "trainer.max_steps=24")
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    command = python(TRAIN, json.dumps(experiment.to_dict()), str(tmp_path / "results"), str(gate))
    sleeper = started(in_a_container(*command))
    folder = tmp_path / "results" / "runs" / experiment.run_id
    with FileLock(folder / ".lock"):  # it is not stopped within a write: then it would hold the lock for good
        suspend_all(sleeper)
    result = run_experiment(experiment, Execution(results_dir=tmp_path / "results"))
    assert result["attempts"] == 2
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    kill_all(sleeper, signal.SIGCONT)
    gate.write_text("go on")
    assert sleeper.stdout is not None
    assert sleeper.stdout.readline() == "LeaseLost\n"
    sleeper.wait()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    undisturbed = run_experiment(experiment, Execution(results_dir=tmp_path / "undisturbed"))
    assert result["weights_sha256"] == undisturbed["weights_sha256"]


def test_a_failed_run_is_forgotten_and_nothing_else(folder: RunFolder) -> None:
    for state in ("running", "interrupted", "done"):
        write_json(folder.path / "status.json", {"state": state})
        assert not forget_failed(folder)
    write_json(folder.path / "status.json", {"state": "failed"})
    write_json(folder.path / "result.json", {"run_id": RUN_ID})
    assert not forget_failed(folder)
    (folder.path / "result.json").unlink()
    assert forget_failed(folder)
    assert not folder.path.exists()
