"""A worker process: runs one experiment after another and reports to the pool.

It receives experiments with their execution and composes nothing; it sends (kind of event, values).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from reinit_bench.core.errors import in_one_line
from reinit_bench.core.machine import share_gpu
from reinit_bench.store.lease import RunHeld, record_failure
from reinit_bench.store.store import Store
from reinit_bench.training.interrupt import SIGNALS, Interrupt, Interrupted, interrupt_on_signals
from reinit_bench.training.observer import EpochEnd, Observer, RoundEnd, RunStart

if TYPE_CHECKING:
    import torch

    from reinit_bench.core.config import Execution, Experiment
    from reinit_bench.data.task import Task


class PipeObserver(Observer):
    """Sends the events of a run to the pool."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def run_started(self, event: RunStart) -> None:
        self.emit("started", title=event.title, rounds=event.rounds, first_step=event.first_step)

    def epoch_ended(self, event: EpochEnd) -> None:
        self.emit(
            "epoch", round=event.round, step=event.step, total_step=event.total_step, accuracy=event.validation_accuracy
        )

    def round_ended(self, event: RoundEnd) -> None:
        self.emit("round", **asdict(event))

    def emit(self, event: str, **values: Any) -> None:
        """Send an event to the pool; a pool that is gone is no reason to lose the run."""
        with contextlib.suppress(OSError):
            self.connection.send((event, values))


class TaskCache:
    """Keeps the last task on the device: the next run often needs the same data."""

    def __init__(self) -> None:
        self._key = ""
        self._task: Task | None = None

    def load(self, experiment: Experiment, device: torch.device) -> Task:
        """Like `load_task`, but returns the kept task if it is the same."""
        from reinit_bench.data.task import load_task

        parts = (experiment.dataset, experiment.augmentation, experiment.trainer.validation_fraction)
        key = json.dumps([*parts, experiment.image_size, experiment.seed, str(device)], sort_keys=True)
        if self._task is None or key != self._key:
            self._task, self._key = load_task(experiment, device), key
        return self._task


def work(connection: Connection, threads: int | None, gpu: str | None, gpu_workers: int = 1) -> None:
    """Do the runs that arrive on `connection` until None does; the body of a worker process.

    Sends "ready" before it takes a run, and "done", "failed", "interrupted" or "held" when it has ended.

    Args:
        threads: CPU threads; None: torch's default.
        gpu: the id of the GPU that it uses; None: whatever torch finds.
        gpu_workers: how many workers share that GPU.
    """
    share_gpu(gpu_workers)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    sys.path.append(os.getcwd())  # a user's own method or model may be in the working directory
    tasks, observer = TaskCache(), PipeObserver(connection)
    warnings.showwarning = lambda message, *where, **more: observer.emit("warning", text=str(message))
    with interrupt_on_signals() as interrupt:
        # Ctrl-C reaches every process of the terminal; the pool decides what it means and sends SIGTERM.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        import torch

        threading.Thread(target=_stop_without_parent, args=(os.getppid(), interrupt), daemon=True).start()
        while not interrupt.requested:
            observer.emit("ready")
            try:
                run: tuple[Experiment, Execution] | None = connection.recv()
            except (EOFError, OSError):
                return
            if run is None:
                return
            if threads is not None:
                torch.set_num_threads(threads)
            _run(*run, tasks, observer, interrupt)


def _run(
    experiment: Experiment, execution: Execution, tasks: TaskCache, observer: PipeObserver, interrupt: Interrupt
) -> None:
    """Run one experiment; whatever happens is reported to the pool and never ends the worker."""
    from reinit_bench.reporting.loggers import logger_observer
    from reinit_bench.run.experiment import run_experiment
    from reinit_bench.training.observer import Observers

    try:
        logger = logger_observer(execution.logger, execution.results_dir)
        watched = Observers(*filter(None, [logger]), observer)
        result = run_experiment(experiment, execution, observer=watched, interrupt=interrupt, load=tasks.load)
        _emit_end(observer, result)
    except (Exception, KeyboardInterrupt) as error:
        _leave_failure(experiment, execution, error)
        _emit_end(observer, error)


def _leave_failure(experiment: Experiment, execution: Execution, error: BaseException) -> None:
    """Let `status` find a run that failed before it had begun: a typo in a file of the user's own."""
    if not isinstance(error, (Interrupted, KeyboardInterrupt, RunHeld)):
        folder = Store(execution.results_dir).run(experiment.run_id)
        with contextlib.suppress(OSError, ValueError):
            record_failure(folder, experiment, in_one_line(error), type(error).__name__)


def _emit_end(observer: PipeObserver, what: Mapping[str, Any] | BaseException) -> None:
    """Tell the pool how the observer's run has ended: with its result, or with an exception."""
    if not isinstance(what, BaseException):
        observer.emit("done", **{k: what[k] for k in ("run_id", "test_accuracy", "validation_accuracy", "steps")})
    elif isinstance(what, (Interrupted, KeyboardInterrupt)):
        observer.emit("interrupted", why=str(what))
    elif isinstance(what, RunHeld):
        observer.emit("held", why=str(what))
    else:
        observer.emit("failed", why=in_one_line(what))


def _stop_without_parent(parent: int, interrupt: Interrupt) -> None:
    """Stop a worker whose pool was killed, with a checkpoint, so that the same command can resume at once."""
    while os.getppid() == parent:
        time.sleep(1.0)
    interrupt.request("the pool is gone")
