"""The run store: nothing half-written, done only when it validates, one process in a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from reinit_bench.store import lease as lease_module
from reinit_bench.store.files import StoreError, write_atomically, write_json
from reinit_bench.store.lease import Lease, RunHeld, is_alive
from reinit_bench.store.store import CorruptResult, RunFolder, Store

RUN_ID = "0123456789abcdef"
RESULT = {
    "run_id": RUN_ID,
    "config": {},
    "test_accuracy": 0.9,
    "validation_accuracy": None,
    "train_accuracy": 1.0,
    "rounds": 4,
    "steps": 80,
    "wall_seconds": 1.5,
    "versions": {},
    "git_commit": None,
    "device": "cpu",
}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = Store(tmp_path).run(RUN_ID)
    run.create()
    return run


def names(folder: RunFolder) -> set[str]:
    return {path.name for path in folder.path.iterdir()}


def test_a_write_that_fails_leaves_the_old_file_and_no_trace(folder: RunFolder) -> None:
    target = folder.path / "result.json"
    write_json(target, {"old": 1})

    def half(stream: Any) -> None:
        stream.write(b"half of it")
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match=r"cannot write .*result\.json: No space left on device"):
        write_atomically(target, half)
    assert json.loads(target.read_text()) == {"old": 1}
    assert names(folder) == {"result.json"}


def test_a_full_disk_is_said_in_one_line_and_nothing_is_half_written(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    target = tmp_path / "file"

    def onto_the_full_device(stream: Any) -> None:
        os.dup2(os.open(full, os.O_WRONLY), stream.fileno())
        stream.write(b"x")  # buffered: the real ENOSPC comes with the flush

    with pytest.raises(StoreError, match="No space left on device"):
        write_atomically(target, onto_the_full_device)
    assert list(tmp_path.iterdir()) == []


def test_a_results_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    store = Store(tmp_path / "results")
    with pytest.raises(StoreError, match="results is not a folder; give results_dir a folder"):
        store.run(RUN_ID).create()
    with pytest.raises(StoreError, match="is not a folder"):
        store.run_ids()


def test_no_result_is_none_and_a_good_one_is_read(folder: RunFolder, tmp_path: Path) -> None:
    assert Store(tmp_path).read_result(RUN_ID) is None
    write_json(folder.path / "result.json", RESULT)
    assert Store(tmp_path).read_result(RUN_ID) == RESULT


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "not JSON"),
        (json.dumps(RESULT)[:50], "not JSON"),
        ("[]", "not an object"),
        (json.dumps({**RESULT, "test_accuracy": 1.2}), "test_accuracy is 1.2, not a fraction"),
        (json.dumps({**RESULT, "test_accuracy": None}), "test_accuracy is None, not a fraction"),
        (json.dumps({**RESULT, "train_accuracy": True}), "train_accuracy is True, not a fraction"),
        (json.dumps({**RESULT, "run_id": "f" * 16}), "it belongs to run ffffffffffffffff"),
        (json.dumps({key: value for key, value in RESULT.items() if key != "steps"}), "no 'steps'"),
    ],
)
def test_a_result_that_does_not_validate_is_named(folder: RunFolder, content: str, why: str) -> None:
    (folder.path / "result.json").write_text(content)
    with pytest.raises(CorruptResult) as error:
        folder.result()
    assert str(error.value).startswith(f"{folder.path / 'result.json'} is corrupt: {why}")
    assert str(error.value).endswith("delete it and run the experiment again")
    assert "\n" not in str(error.value)


def test_a_second_holder_is_told_who_holds_the_run(folder: RunFolder) -> None:
    first = Lease(folder)
    first.acquire()
    with pytest.raises(RunHeld, match=rf"run {RUN_ID} is held by process {os.getpid()} on .* \(attempt 1\)"):
        Lease(folder).acquire()
    first.release("done")
    second = Lease(folder)
    second.acquire()
    assert second.attempt == 2
    second.release("interrupted")
    assert folder.status()["state"] == "interrupted"


def test_a_killed_holder_is_taken_over_at_once(folder: RunFolder) -> None:
    script = (
        "import sys, time; from pathlib import Path; from reinit_bench.store.store import RunFolder;"
        "from reinit_bench.store.lease import Lease; Lease(RunFolder(Path(sys.argv[1]))).acquire();"
        "print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, str(folder.path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(RunHeld, match=f"held by process {holder.pid} "):
        Lease(folder).acquire()
    holder.kill()
    holder.wait()
    holder.stdout.close()
    heir = Lease(folder)
    assert heir.acquire()["pid"] == holder.pid
    assert heir.attempt == 2
    heir.release("done")


def test_a_pid_that_is_used_again_is_not_the_holder(folder: RunFolder) -> None:
    lease = Lease(folder)
    lease.acquire()
    status = folder.status()
    lease.release("done")
    assert is_alive(status)
    assert not is_alive({**status, "process_started": status["process_started"] - 100})


def test_on_another_host_only_the_heartbeat_tells() -> None:
    status = {"host": "elsewhere", "pid": 1, "heartbeat": time.time() - 5}
    assert is_alive(status)
    assert not is_alive({**status, "heartbeat": time.time() - lease_module.STALE_SECONDS - 1})


def test_a_holder_that_was_taken_over_notices_and_writes_nothing(folder: RunFolder) -> None:
    sleeper = Lease(folder)
    sleeper.acquire()
    write_json(folder.path / "status.json", {"state": "running", "token": "another", "host": "elsewhere"})
    sleeper.release("done")
    assert sleeper.lost
    assert folder.status() == {"state": "running", "token": "another", "host": "elsewhere"}


def test_the_heartbeat_goes_on_by_itself(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "HEARTBEAT_SECONDS", 0.02)
    lease = Lease(folder)
    lease.acquire()
    first = folder.status()["heartbeat"]
    lease.update(round=3)
    deadline = time.monotonic() + 10
    while folder.status().get("round") != 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert folder.status()["heartbeat"] > first
    assert folder.status()["round"] == 3
    lease.release("done")


def test_folders_that_are_no_runs_are_no_runs(tmp_path: Path) -> None:
    assert Store(tmp_path / "nowhere").run_ids() == []
    (tmp_path / "runs" / ".hidden").mkdir(parents=True)
    (tmp_path / "runs" / RUN_ID).mkdir()
    (tmp_path / "runs" / "notes.txt").write_text("")
    assert Store(tmp_path).run_ids() == [RUN_ID]
