"""The local pool: worker processes that train one run at a time.

A worker that crashes harms only the run that it was training.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, cast

from reinit_bench.core.settings import ConfigError
from reinit_bench.store.lease import record_death
from reinit_bench.store.store import Store
from reinit_bench.sweep.plan import PlannedRun
from reinit_bench.sweep.worker import work
from reinit_bench.training.interrupt import SIGNALS, Interrupt, handling_signals

Notify = Callable[[PlannedRun, str, Mapping[str, Any]], None]
"""Called with a run, the kind of its event (started, epoch, round, done, failed, ...) and the event's values."""

Waiting = deque[PlannedRun]
"""The runs that no worker has taken yet."""

ENDINGS = ("done", "failed", "interrupted", "held")
NOT_BEGUN = "not begun"
"""What is left when a signal has stopped the pool."""
SAFE_PATH = "PYTHONSAFEPATH"
CRASHES_ALLOWED = 1
"""How often a run whose worker died is resumed before it counts as failed."""


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    gpu: str | None
    run: PlannedRun | None = None
    """What it is working on."""
    has_spoken: bool = False
    """Whether it has started up; a worker that dies before that would die the next time too."""


@dataclass
class Outcome:
    """How the runs of one sweep ended."""

    ended: dict[str, list[PlannedRun]] = field(default_factory=lambda: {kind: [] for kind in (*ENDINGS, NOT_BEGUN)})
    causes: dict[str, str] = field(default_factory=dict)
    """Why a run failed, by run id."""

    def count(self, kind: str) -> int:
        return len(self.ended[kind])

    @property
    def was_stopped(self) -> bool:
        """Whether there are runs left for the next command."""
        return bool(self.ended["interrupted"] or self.ended[NOT_BEGUN])


class PoolError(ConfigError):
    """The pool cannot work on this machine."""


class Pool:
    """Serves runs to worker processes.

    Args:
        workers: how many processes.
        threads: CPU threads of each; None: torch's default.
        gpus: ids of the GPUs, given to the workers in turn; empty: workers run on the CPU.
    """

    def __init__(self, workers: int, threads: int | None, gpus: Sequence[str] = ()) -> None:
        self.count, self.threads, self.gpus = workers, threads, list(gpus)
        self.gpu_workers = 1
        """How many workers share a GPU."""
        self.stopping = False
        self._workers: list[_Worker] = []
        self._crashes: dict[str, int] = {}

    def run(self, runs: Sequence[PlannedRun], notify: Notify, interrupt: Interrupt | None = None) -> Outcome:
        """Run all of `runs`; returns when all have ended or, after an interrupt, when all have written a checkpoint.

        Args:
            interrupt: of the process, which may have been asked to stop before it came to this.

        Raises:
            PoolError: a worker cannot start.
        """
        waiting, outcome = deque(runs), Outcome()
        count = min(self.count, len(waiting))
        self.gpu_workers = -(-count // len(self.gpus)) if self.gpus else 1
        with self._forwarding_signals():
            self.stopping = self.stopping or (interrupt is not None and interrupt.requested)
            for number in range(0 if self.stopping else count):
                self._start(self.gpus[number % len(self.gpus)] if self.gpus else None)
            while self._workers:
                for ready in wait([worker.connection for worker in self._workers]):
                    worker = next(w for w in self._workers if w.connection is ready)
                    self._on_event(worker, waiting, outcome, notify)
            outcome.ended[NOT_BEGUN] += waiting
        return outcome

    def _start(self, gpu: str | None) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=work, args=(theirs, self.threads, gpu, self.gpu_workers), name="reinit-bench worker"
        )
        # No signal may kill a worker before its handlers are in place: the pool receives them too and sends SIGTERM.
        with _starting_processes():
            process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours, gpu))

    def _on_event(self, worker: _Worker, waiting: Waiting, outcome: Outcome, notify: Notify) -> None:
        try:
            kind, values = worker.connection.recv()
        except (EOFError, OSError):
            self._reap(worker, waiting, outcome, notify)
            return
        worker.has_spoken = True
        if kind == "ready":
            self._serve(worker, waiting)
            return
        run = worker.run
        assert run is not None, kind
        notify(run, kind, values)
        if kind in ENDINGS:
            outcome.ended[kind].append(run)
            if "why" in values:
                outcome.causes[run.run_id] = values["why"]
            worker.run = None

    def _serve(self, worker: _Worker, waiting: Waiting) -> None:
        worker.run = run = waiting.popleft() if waiting and not self.stopping else None
        try:
            worker.connection.send(run and (run.experiment, run.execution))
        except OSError:
            return  # it has died; the closed pipe is noticed next

    def _reap(self, worker: _Worker, waiting: Waiting, outcome: Outcome, notify: Notify) -> None:
        """Handle a worker whose end of the pipe is closed: it has exited, or was killed in the middle of a run."""
        worker.process.join()
        worker.connection.close()
        self._workers.remove(worker)
        if worker.run is not None:
            self._crashed(worker, worker.run, waiting, outcome, notify)
        if not worker.has_spoken and not self.stopping:
            raise PoolError(f"a worker process cannot start: {_death(worker.process.exitcode)}")
        if waiting and not self.stopping and len(self._workers) < self.count:
            self._start(worker.gpu)

    def _crashed(self, worker: _Worker, run: PlannedRun, waiting: Waiting, outcome: Outcome, notify: Notify) -> None:
        why = _death(worker.process.exitcode)
        self._crashes[run.run_id] = self._crashes.get(run.run_id, 0) + 1
        if self.stopping:
            outcome.ended["interrupted"].append(run)
        elif self._crashes[run.run_id] <= CRASHES_ALLOWED:
            notify(run, "warning", {"text": f"{why}; resuming from its checkpoint"})
            waiting.appendleft(run)
        else:
            record_death(Store(run.execution.results_dir).run(run.run_id), why)
            notify(run, "failed", {"why": why})
            outcome.ended["failed"].append(run)
            outcome.causes[run.run_id] = why

    @contextmanager
    def _forwarding_signals(self) -> Iterator[None]:
        """SIGTERM, SIGINT and SIGUSR2 stop the pool: no more runs are served, and each worker writes a checkpoint."""

        def handle(number: int, frame: FrameType | None) -> None:
            # A second Ctrl-C does not wait for checkpoints: the runs will resume from their last ones.
            forwarded = signal.SIGKILL if self.stopping and number == signal.SIGINT else signal.SIGTERM
            self.stopping = True
            for worker in self._workers:
                with suppress(ProcessLookupError):
                    os.kill(cast(int, worker.process.pid), forwarded)

        with handling_signals(handle):
            yield


def _death(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = " (out of memory, or killed by hand)" if name == "SIGKILL" else ""
        return f"its worker process was killed by {name}{hint}"
    return f"its worker process ended with code {exitcode}"


@contextmanager
def _starting_processes() -> Iterator[None]:
    """For a process that is started within the block, the signals that stop it wait until it has its handlers.

    Nor does it look for Python's own modules in the working directory, where the user may have a random.py.
    """
    safe_path = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    resource_tracker.ensure_running()  # multiprocessing's own; starting it later would unblock the signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if safe_path is None:
            del os.environ[SAFE_PATH]
