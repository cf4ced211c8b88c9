"""Whether a holder lives: in namespaces of processes, time and users, and behind a hidden /proc."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import SoftFileLease

from reinit_bench.core.settings import ConfigError
from reinit_bench.store import lease as lease_module
from reinit_bench.store import lock as lock_module
from reinit_bench.store.files import write_json
from reinit_bench.store.lease import Lease, RunHeld, looks_alive
from reinit_bench.store.process import found, this_process
from reinit_bench.store.store import RunFolder

AWAY: dict[str, Any] = {"state": "running", "host": "away", "boot_id": "away", "token": "x", "beats": 7}
LOOK = "import json, sys; from reinit_bench.store.process import found; print(found(json.loads(sys.argv[1])))"
HIDDEN = [
    *("unshare", "-m", "sh", "-c"),
    'mount -t proc -o hidepid=2 proc /proc && exec setpriv --regid=9 --clear-groups --bounding-set=-sys_ptrace "$@"',
    "sh",
]
NO_FLOCK = """
import ctypes, platform, struct
number = {"x86_64": 73, "aarch64": 32}[platform.machine()]
program = struct.pack("HBBI" * 4, 0x20, 0, 0, 0, 0x15, 0, 1, number, 6, 0, 0, 0x50000 | 38, 6, 0, 0, 0x7FFF0000)
buffer = ctypes.create_string_buffer(program)
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
libc = ctypes.CDLL(None)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(Program(4, ctypes.addressof(buffer))), 0, 0):
    print("not allowed", flush=True)
    raise SystemExit
"""
"""From here on the kernel answers flock with ENOSYS, as a file system without it does (seccomp)."""

TAKE = """
import signal, sys
from pathlib import Path
from reinit_bench.store.lease import Lease, RunHeld
from reinit_bench.store.store import RunFolder
lease = Lease(RunFolder(Path(sys.argv[1])))
try:
    lease.acquire()
except RunHeld:
    print("refused", flush=True)
    raise SystemExit
with lease.fence():
    print("held", flush=True)
    signal.pause()
"""


@pytest.fixture
def holder() -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A process, and how it describes itself."""
    code = "import json, time; from reinit_bench.store.process import this_process; print(json.dumps(this_process()))"
    process = subprocess.Popen([sys.executable, "-uc", f"{code}; time.sleep(99)"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process, json.loads(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()


def seen(holder: dict[str, Any], *wrapper: str) -> str:
    """What a process started by `wrapper` finds; skips the test where the kernel or this user's rights forbid it."""
    if wrapper and (shutil.which("unshare") is None or subprocess.run([*wrapper, "true"]).returncode):
        pytest.skip(f"not allowed here: {' '.join(wrapper[:3])}")
    look = [sys.executable, "-c", LOOK, json.dumps(holder)]
    return subprocess.run([*wrapper, *look], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("wrapper", "living", "dead"),
    [
        ((), "alive", "dead"),
        (("unshare", "--user", "--map-root-user"), "alive", "dead"),
        (("unshare", "-T", "--boottime", "100000", "--fork"), "unknown", "unknown"),
        (("unshare", "-T", "--boottime", "100000", "--monotonic", "-50", "--fork"), "unknown", "unknown"),
        (("unshare", "-p", "--fork", "--mount-proc"), "unknown", "unknown"),
        (("unshare", "-p", "--fork"), "unknown", "unknown"),
    ],
)
def test_death_is_said_only_of_what_is_proven(holder: Any, wrapper: tuple[str, ...], living: str, dead: str) -> None:
    process, described = holder
    assert seen(described, *wrapper) == living
    process.kill()
    process.wait()
    assert seen(described, *wrapper) == dead


def test_another_users_process_may_be_hidden() -> None:
    """As on login nodes: /proc has no entry for it, and it lives."""
    if shutil.which("setpriv") is None or subprocess.run(["setpriv", "--reuid=12345", "true"]).returncode:
        pytest.skip("this user cannot start a process of another user's")
    process = subprocess.Popen(["setpriv", "--reuid=12345", "sleep", "99"])
    try:
        while b"sleep" not in Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")[:1]:
            time.sleep(0.01)
        began = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
        described = {**this_process(), "pid": process.pid, "began": began}
        assert seen(described, *HIDDEN) == "unknown"
    finally:
        process.kill()
        process.wait()
    assert seen(described, *HIDDEN) == "dead"


def test_what_cannot_be_compared_proves_nothing() -> None:
    me = this_process()
    assert found(me) == "alive"
    assert found({**me, "began": me["began"] - 1}) == "dead"  # its number was used again
    for key in ("boot_id", "pid_namespace", "time_namespace"):
        assert found({**me, key: "of another"}) == "unknown"
    for odd in ({"pid": 0}, {"pid": -1}, {"pid": 2**70}, {"pid": "1"}, {"began": None}, {"began": 1.5}):
        assert found({**me, **odd}) == "unknown"
    assert found({"host": me["host"], "pid": me["pid"], "process_started": 1.0}) == "unknown"  # an old version's


@pytest.mark.parametrize("ahead", [-7200.0, 3600.0])
def test_a_dead_holder_is_given_the_time_that_it_named_and_its_clock_does_not_matter(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    write_json(folder.path / "status.json", {**AWAY, "heartbeat_seconds": 0.3, "heartbeat": time.time() + ahead})
    monkeypatch.setenv(lease_module.VARIABLE, "0.05")
    heir, began = Lease(folder), time.monotonic()
    assert heir.acquire() is None
    assert 9 * 0.3 <= time.monotonic() - began < 60 * 0.3
    heir.release("done")
    assert folder.status()["heartbeat_seconds"] == 0.05


@pytest.mark.parametrize("period", [0, 1e-9, -1, "10", None, float("nan")])
def test_a_period_that_is_none_is_not_believed(folder: RunFolder, period: Any) -> None:
    (folder.path / "status.json").write_text(json.dumps({**AWAY, "heartbeat_seconds": period}))
    assert looks_alive(folder, folder.status())
    assert lease_module.stale_seconds(folder.status()) == 90


@pytest.mark.parametrize("text", ["abc", "0", "-3", "nan", "inf", "1e9"])
def test_the_period_is_checked_and_named(folder: RunFolder, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(lease_module.VARIABLE, text)
    with pytest.raises(ConfigError) as error:
        Lease(folder)
    why = f"the variable REINIT_BENCH_HEARTBEAT_SECONDS must be a number of seconds from 0.05 to 600; got '{text}'"
    assert str(error.value) == why


@pytest.mark.parametrize("attempt", ["x", [1], None, -1, 2.5, True, 10**400])
def test_a_status_of_wrong_kinds_stops_no_run(folder: RunFolder, attempt: Any) -> None:
    status = {"state": "interrupted", "attempt": attempt, "error": 5, "error_kind": {}, "host": ["a\x1b[2J"]}
    write_json(folder.path / "status.json", status)
    lease = Lease(folder)
    assert lease.acquire() is None
    assert lease.attempt == 1
    lease.release("done")


def test_without_flock_one_process_holds_the_run_and_a_kill_leaves_no_lock(folder: RunFolder) -> None:
    command = [sys.executable, "-c", NO_FLOCK + TAKE, str(folder.path)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    told = first.stdout.readline()
    if told == "not allowed\n":
        pytest.skip("this kernel allows no seccomp filter")
    assert told == "held\n"  # and it is within a fence, so that its lock is held too
    first.send_signal(signal.SIGKILL)
    first.wait()
    first.stdout.close()
    assert (folder.path / ".lock.held").exists()
    second = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert second.stdout is not None
    assert second.stdout.readline() == "held\n"
    second.kill()
    second.wait()
    second.stdout.close()


def test_without_flock_a_lock_from_elsewhere_is_not_for_good(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_flock(*_: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", no_flock)
    monkeypatch.setattr(lock_module, "STANDS_STILL_SECONDS", 0.5)
    monkeypatch.setattr(lease_module, "LOCK_SECONDS", 0.2)
    with SoftFileLease(folder.path / "elsewhere", lease_duration=0.5) as elsewhere:
        mark = Path(elsewhere.lock_file).read_text()
    (folder.path / ".lock.held").write_text(mark.replace("host=", "host=away."))
    with pytest.raises(RunHeld, match="is locked by another process"):
        Lease(folder).acquire()
    monkeypatch.setattr(lease_module, "LOCK_SECONDS", 5.0)
    first = Lease(folder)
    assert first.acquire() is None
    with pytest.raises(RunHeld, match="is held by process"):
        Lease(RunFolder(folder.path)).acquire()
    first.release("done")
    assert {path.name for path in folder.path.iterdir()} == {".lock", "status.json"}
