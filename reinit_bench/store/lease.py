"""The lease: what keeps two processes out of one run.

It lives in the run's `status.json`. Its holder renews a heartbeat; a lease whose holder is dead or silent is taken
over.
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from reinit_bench.core.settings import ConfigError
from reinit_bench.store.files import StoreError, write_json
from reinit_bench.store.store import RunFolder

HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 90.0
"""A lease held on another host counts as abandoned when its heartbeat is older than this."""


DIED = "WorkerDied"
"""The error kind of a run whose process was killed so often that it is not resumed again."""


class RunHeld(ConfigError):
    """Another living process is working on the run."""


class Lease:
    """The right to work on one run, held by one process at a time, written in the run's `status.json`.

    A background thread renews the heartbeat. `lost` becomes true when another process has taken the lease over (because
    this one was silent for too long, e.g. suspended): the holder must then stop and write nothing more.
    """

    def __init__(self, folder: RunFolder, *, slurm_job: str | None = None) -> None:
        self.folder = folder
        self.token = secrets.token_hex(8)
        self.lost = False
        self._fields: dict[str, Any] = {"slurm_job": slurm_job}
        self._stop = threading.Event()
        self._write_lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def acquire(self) -> dict[str, Any] | None:
        """Take the lease and start the heartbeat; if the run is done, return its result and hold nothing.

        Raises:
            RunHeld: a living process holds it; the message says who.
        """
        with _file_lock(self.folder.path):
            result = self.folder.finished_result()
            if result is not None:
                return result
            previous = self.folder.status()
            if previous.get("state") == "running" and is_alive(previous):
                raise RunHeld(
                    f"run {self.folder.run_id} is held by process {previous.get('pid')} on {previous.get('host')} "
                    f"(attempt {previous.get('attempt')}); wait for it or stop it"
                )
            self._fields.update(
                state="running",
                attempt=int(previous.get("attempt") or 0) + 1,
                host=socket.gethostname(),
                pid=os.getpid(),
                process_started=psutil.Process().create_time(),
                token=self.token,
                started=time.time(),
                error=None,
            )
            self._write()
        self._thread = threading.Thread(target=self._beat, name="lease-heartbeat", daemon=True)
        self._thread.start()
        return None

    @property
    def attempt(self) -> int:
        """How many processes have worked on this run, including this one."""
        return int(self._fields["attempt"])

    def update(self, **fields: Any) -> None:
        """Change fields of the status; written with the next heartbeat."""
        self._fields.update(fields)

    def release(self, state: str, error: str | None = None) -> None:
        """Stop the heartbeat and, if the lease is still ours, write `state` (done, interrupted, failed)."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if not self.check():
            return
        self._fields.update(state=state, error=error)
        self._write()

    def check(self) -> bool:
        """Whether the lease is still ours."""
        self.lost = self.lost or self.folder.status().get("token") != self.token
        return not self.lost

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            if not self.check():
                return
            # A heartbeat that cannot be written is retried: if the disk is gone, the training itself will report it.
            with contextlib.suppress(StoreError):
                self._write()

    def _write(self) -> None:
        with self._write_lock:
            write_json(self.folder.path / "status.json", {**self._fields, "heartbeat": time.time()})


def is_alive(status: Mapping[str, Any]) -> bool:
    """Whether the process that wrote a running status is still alive.

    On this host the process itself is looked up (pid and start time, since pids are reused); on another host only the
    heartbeat's age can tell.
    """
    if status.get("host") == socket.gethostname():
        try:
            started = psutil.Process(int(status["pid"])).create_time()
        except (psutil.Error, KeyError, TypeError, ValueError):
            return False
        return math.isclose(started, float(status.get("process_started") or 0.0), abs_tol=1.0)
    return time.time() - float(status.get("heartbeat") or 0.0) < STALE_SECONDS


def record_death(folder: RunFolder, why: str) -> None:
    """Write `failed` and the cause into the status of a run whose process died silently, unless a process holds it."""
    if not folder.status():
        return
    with _file_lock(folder.path):
        status = folder.status()
        if status.get("state") == "running" and not is_alive(status):
            write_json(folder.path / "status.json", {**status, "state": "failed", "error": why, "error_kind": DIED})


@contextlib.contextmanager
def _file_lock(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / ".lock", timeout=30)
    try:
        lock.acquire()
    except Timeout as error:
        raise RunHeld(f"{folder} is locked by another process; try again") from error
    except OSError as error:
        raise StoreError(f"cannot write {folder}: {error.strerror or error}; change results_dir") from error
    try:
        yield
    finally:
        lock.release()
