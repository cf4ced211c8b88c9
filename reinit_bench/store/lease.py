"""The lease: what keeps two processes out of one run, on one machine, in containers, and on a cluster.

It lives in the run's `status.json`. Its holder raises a counter there, the heartbeat. A run is taken only from a holder
that is proven to be dead (`store.process`), or whose counter stands still while it is watched for as long as the holder
itself has said: clocks of different machines disagree and are stepped. A holder that was taken for dead and wakes up
writes nothing more: each of its writes is fenced by the lock under which the lease changes hands.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from reinit_bench.core.config import Experiment
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.checks import RESULT
from reinit_bench.store.files import StoreError
from reinit_bench.store.lock import locked
from reinit_bench.store.process import State, found, this_process
from reinit_bench.store.store import STATUS, CorruptResult, RunFolder

VARIABLE = "REINIT_BENCH_HEARTBEAT_SECONDS"
USUAL_SECONDS, LEAST_SECONDS, MOST_SECONDS = 10.0, 0.05, 600.0
STALE_BEATS = 9
"""A counter that stands still for so many of its holder's periods, while it is watched, is a dead holder's."""

LOCK, LOCK_SECONDS = ".lock", 30.0

DIED = "WorkerDied"
"""The error kind of a run whose process was killed so often that it is not resumed again."""


def heartbeat_seconds() -> float:
    """How often this process raises its counter; longer where thousands of runs would load a shared file system.

    Raises:
        ConfigError: the variable of the environment is no such number.
    """
    text = os.environ.get(VARIABLE) or str(USUAL_SECONDS)
    with contextlib.suppress(ValueError):
        if LEAST_SECONDS <= float(text) <= MOST_SECONDS:
            return float(text)
    allowed = f"a number of seconds from {LEAST_SECONDS:g} to {MOST_SECONDS:g}"
    raise ConfigError(f"the variable {VARIABLE} must be {allowed}; got {text!r}")


def stale_seconds(status: Mapping[str, Any]) -> float:
    """How long a holder's counter may stand still, by its own period; one of an older version has named none."""
    own = status.get("heartbeat_seconds") or 0
    known = LEAST_SECONDS <= own <= MOST_SECONDS
    return STALE_BEATS * (own if known else max(USUAL_SECONDS, heartbeat_seconds()))


class RunHeld(ConfigError):
    """Another living process is working on the run."""


class LeaseLost(RunHeld):
    """Another process has taken the run over; this one must write nothing more."""


class Lease:
    """The right to work on one run, held by one process at a time, written in the run's `status.json`.

    A background thread raises the heartbeat. While the lease is held, everything that `folder` writes is fenced: it
    raises `LeaseLost` if another process has taken the lease over (this one was suspended for too long).
    """

    def __init__(self, folder: RunFolder, *, slurm_job: str | None = None) -> None:
        self.folder = folder
        self.token = secrets.token_hex(8)
        self._period = heartbeat_seconds()
        self._fields: dict[str, Any] = {"slurm_job": slurm_job, "heartbeat_seconds": self._period}
        self._beats = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self, is_stopped: Callable[[], bool] = lambda: False) -> dict[str, Any] | None:
        """Take the lease and start the heartbeat; if the run is done, return its result and hold nothing.

        Takes up to nine of the last holder's periods if that may be dead and it cannot be told.

        Args:
            is_stopped: asked while a holder is watched; true ends that.

        Raises:
            RunHeld: a living process holds it; the message says who.
            StoreError: the folder cannot be written.
        """
        watch = _Watch()
        while True:
            with _locked(self.folder.path):
                result = _finished(self.folder)
                if result is not None:
                    self.folder.tidy()
                    return result
                previous = self.folder.status()
                holder = watch.look(previous)
                if holder == "dead":
                    self._begin(previous)
                    break
                if holder == "alive" or is_stopped():
                    raise RunHeld(
                        f"run {self.folder.run_id} is held by process {previous.get('pid')} on {previous.get('host')} "
                        f"(attempt {previous.get('attempt')}); wait for it or stop it"
                    )
            time.sleep(min(1.0, stale_seconds(previous) / 2 / STALE_BEATS))
        self._thread = threading.Thread(target=self._beat, name="lease-heartbeat", daemon=True)
        self._thread.start()
        return None

    def _begin(self, previous: Mapping[str, Any]) -> None:
        self._fields.update(
            state="running",
            attempt=previous.get("attempt", 0) + 1,
            **this_process(),
            token=self.token,
            started=time.time(),
            error=None,
        )
        self._write()
        self.folder.fence = self.fence

    @property
    def attempt(self) -> int:
        """How many processes have worked on this run, including this one."""
        return int(self._fields["attempt"])

    def update(self, **fields: Any) -> None:
        """Change fields of the status; written with the next heartbeat."""
        self._fields.update(fields)

    def release(self, state: str, error: str | None = None) -> None:
        """Stop the heartbeat and, if the lease is still ours, write `state` (done, interrupted, failed).

        Raises:
            StoreError: the status cannot be read or written.
        """
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._fields.update(state=state, error=error)
        with contextlib.suppress(LeaseLost), self.fence():
            self._write()

    @contextlib.contextmanager
    def fence(self) -> Iterator[None]:
        """Write within this block: while it lasts the lease is ours and cannot change hands.

        Raises:
            LeaseLost: another process has taken it over.
            StoreError: that cannot be told, since the status cannot be read.
        """
        with _locked(self.folder.path):
            if self._is_lost():
                raise LeaseLost(f"run {self.folder.run_id} was taken over by another process; this one stops")
            yield

    def _is_lost(self) -> bool:
        try:
            return self.folder.status().get("token") != self.token
        except OSError as error:
            path = self.folder.path / STATUS
            raise StoreError(f"cannot read {path}: {error.strerror or error}") from error

    def _beat(self) -> None:
        while not self._stop.wait(self._period):
            # What fails is tried again with the next beat; if the disk is gone, the training itself will report it.
            with contextlib.suppress(StoreError, RunHeld, OSError), self.fence():
                self._beats += 1
                self._write()

    def _write(self) -> None:
        """Only under the lock."""
        self.folder.write_status({**self._fields, "beats": self._beats, "heartbeat": time.time()})


class _Watch:
    """What an observer has seen of a run's holder, by its own clock."""

    def __init__(self) -> None:
        self._seen: tuple[Any, ...] | None = None
        self._since = 0.0

    def look(self, status: Mapping[str, Any]) -> State:
        """Whether the holder lives, as far as can be told by now: a heart that stands still is a dead holder's."""
        holder: State = found(status) if status.get("state") == "running" else "dead"
        if holder != "unknown":
            return holder
        beat = (status.get("token"), status.get("beats"), status.get("heartbeat"))
        if self._seen is None:
            self._seen, self._since = beat, time.monotonic()
        if beat != self._seen:
            return "alive"
        return "dead" if time.monotonic() - self._since > stale_seconds(status) else "unknown"


def looks_alive(folder: RunFolder, status: Mapping[str, Any]) -> bool:
    """Whether a status is a living process's, told at once, for `plan` and `status`.

    Of a process that cannot be seen from here, the age of the last heartbeat tells, by the file system's own clock.
    """
    if status.get("state") != "running":
        return False
    holder = found(status)
    if holder != "unknown":
        return holder == "alive"
    try:
        beaten = (folder.path / STATUS).stat().st_mtime
    except OSError:
        return False
    return abs(_now_there(folder.path) - beaten) < stale_seconds(status)


def _now_there(folder: Path) -> float:
    """The time by the clock that stamps the folder's files; where nothing can be written, by this machine's."""
    try:
        (folder / LOCK).touch()
        return (folder / LOCK).stat().st_mtime
    except OSError:
        return time.time()


def record_death(folder: RunFolder, why: str) -> None:
    """Write `failed` and the cause into the status of a run whose process died silently, unless a process holds it."""
    if not folder.status():
        return
    with _locked(folder.path):
        status = folder.status()
        if status.get("state") == "running" and found(status) == "dead":
            folder.write_status({**status, "state": "failed", "error": why, "error_kind": DIED})


def record_failure(folder: RunFolder, experiment: Experiment, error: str, kind: str) -> None:
    """Let `status` find a run that failed before it could begin; if anything else is known of it, leave that."""
    folder.create()
    with _locked(folder.path):
        if not folder.status() and folder.result() is None:
            folder.write_config(experiment)
            folder.write_status({"state": "failed", "attempt": 0, "error": error, "error_kind": kind})


def forget_failed(folder: RunFolder) -> bool:
    """Delete all that a failed run has left; returns False, and does nothing, if it has a result or is not failed."""
    with _locked(folder.path):
        if folder.status().get("state") != "failed" or (folder.path / RESULT).exists():
            return False
        shutil.rmtree(folder.path)
    return True


def _finished(folder: RunFolder) -> dict[str, Any] | None:
    """The result of a finished run; one that does not validate is set aside with a warning, and the run is not done."""
    try:
        return folder.result()
    except CorruptResult as error:
        aside = folder.path / f"result.corrupt-{int(time.time())}.json"
        (folder.path / RESULT).rename(aside)
        warnings.warn(f"{error}; kept as {aside.name}, running again", stacklevel=2)
        return None


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / LOCK, LOCK_SECONDS))
        except TimeoutError as error:
            raise RunHeld(f"{folder} is locked by another process; try again") from error
        except OSError as error:
            raise StoreError(f"cannot write {folder}: {error.strerror or error}; change results_dir") from error
        yield
