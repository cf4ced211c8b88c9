"""A worker process: runs one experiment, or one pack of them, after the other; tells the pool how it goes.

What it gets is frozen configurations; what it sends is (kind of event, run id, values).
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
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reinit_bench.training.observer import EpochEnd, Observer, RoundEnd, RunStart

if TYPE_CHECKING:
    import torch

    from reinit_bench.core.config import Experiment
    from reinit_bench.data.task import Task
    from reinit_bench.training.interrupt import Interrupt


class PipeObserver(Observer):
    """Sends the events of the run with id `run_id` to the pool."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.run_id = ""

    def run_started(self, event: RunStart) -> None:
        self.send("started", title=event.title, rounds=event.rounds, first_step=event.first_step)

    def epoch_ended(self, event: EpochEnd) -> None:
        self.send(
            "epoch", round=event.round, step=event.step, total_step=event.total_step, accuracy=event.validation_accuracy
        )

    def round_ended(self, event: RoundEnd) -> None:
        self.send("round", **asdict(event))

    def send(self, event: str, **values: Any) -> None:
        """Tell the pool; a pool that is gone is no reason to lose the run."""
        with contextlib.suppress(OSError):
            self.connection.send((event, self.run_id, values))


class TaskCache:
    """Keeps the last task on the device: runs of a pack share their data."""

    def __init__(self) -> None:
        self._key = ""
        self._task: Task | None = None

    def load(self, experiment: Experiment, device: torch.device) -> Task:
        """As `load_task`, without loading again what is there."""
        from reinit_bench.data.task import load_task

        parts = (experiment.dataset, experiment.augmentation, experiment.trainer.validation_fraction)
        key = json.dumps([*parts, experiment.image_size, experiment.seed, str(device)], sort_keys=True)
        if self._task is None or key != self._key:
            self._task, self._key = load_task(experiment, device), key
        return self._task


def work(connection: Connection, threads: int | None, gpu: str | None) -> None:
    """Serve runs from `connection` until None comes; the body of a worker process.

    Sends "ready" before each piece of work is taken, and "done", "failed", "interrupted" or "held" for each run
    after it.
    """
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    sys.path.append(os.getcwd())  # a user's own method or model may lie in the folder that they work in
    from reinit_bench.training.interrupt import SIGNALS, interrupt_on_signals

    tasks, observer = TaskCache(), PipeObserver(connection)
    warnings.showwarning = lambda message, *where, **more: observer.send("warning", text=str(message))
    with interrupt_on_signals() as interrupt:
        # Ctrl-C reaches every process of the terminal; the pool decides what it means and sends SIGTERM.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        import torch

        threading.Thread(target=_stop_without_parent, args=(os.getppid(), interrupt), daemon=True).start()
        while not interrupt.requested:
            observer.send("ready")
            try:
                configs = connection.recv()
            except (EOFError, OSError):
                return
            if configs is None:
                return
            if threads is not None:
                torch.set_num_threads(threads)
            if len(configs) == 1:
                _run(configs[0], tasks, observer, interrupt)
            else:
                _run_pack(configs, observer, interrupt)


def _run(config: Mapping[str, Any], tasks: TaskCache, observer: PipeObserver, interrupt: Interrupt) -> None:
    """One run; whatever happens to it is told, and never ends the worker."""
    from reinit_bench.core.config import Execution, Experiment
    from reinit_bench.reporting.loggers import logger_observer
    from reinit_bench.run.experiment import run_experiment
    from reinit_bench.training.observer import Observers

    try:
        experiment, execution = Experiment.from_dict(config), Execution.from_dict(config)
        observer.run_id = experiment.run_id
        logger = logger_observer(execution.logger, Path(execution.results_dir))
        watched = Observers(*filter(None, [logger]), observer)
        result = run_experiment(experiment, execution, observer=watched, interrupt=interrupt, load=tasks.load)
        _tell_end(observer, result)
    except (Exception, KeyboardInterrupt) as error:
        _tell_end(observer, error)


def _run_pack(configs: Sequence[Mapping[str, Any]], observer: PipeObserver, interrupt: Interrupt) -> None:
    """Runs that differ only in the seed, side by side; the pack's progress is told as that of its first run."""
    from reinit_bench.core.config import Execution, Experiment
    from reinit_bench.run.seeds import run_seeds

    experiments = [Experiment.from_dict(config) for config in configs]
    left = [experiment.run_id for experiment in experiments]
    accuracies: list[float] = []

    def ended(experiment: Experiment, what: dict[str, Any] | BaseException) -> None:
        observer.run_id = experiment.run_id
        left.remove(experiment.run_id)
        if not isinstance(what, BaseException):
            accuracies.append(what["test_accuracy"])
        _tell_end(observer, what, pack=[] if left else accuracies)

    def round_begins(index: int, rounds: int) -> None:
        observer.run_id = left[0]
        observer.send("pack", runs=len(left), round=index, rounds=rounds)

    try:
        execution = Execution.from_dict(configs[0])
        run_seeds(experiments, execution, ended, round_begins=round_begins, interrupt=interrupt)
    except (Exception, KeyboardInterrupt) as error:
        for observer.run_id in left:
            _tell_end(observer, error)


def _tell_end(
    observer: PipeObserver, what: Mapping[str, Any] | BaseException, pack: Sequence[float] | None = None
) -> None:
    """Tell the pool how the observer's run has ended: its result, or what ended it.

    Args:
        pack: None for a run of its own; in a pack empty, and with its last run the test accuracies of all.
    """
    from reinit_bench.store.lease import RunHeld
    from reinit_bench.training.interrupt import Interrupted

    if not isinstance(what, BaseException):
        told = {k: what[k] for k in ("run_id", "test_accuracy", "validation_accuracy", "steps")}
        observer.send("done", **told, pack=pack)
    elif isinstance(what, (Interrupted, KeyboardInterrupt)):
        observer.send("interrupted", why=str(what), pack=pack)
    elif isinstance(what, RunHeld):
        observer.send("held", why=str(what))
    else:
        observer.send("failed", why=str(what) or type(what).__name__)


def _stop_without_parent(parent: int, interrupt: Interrupt) -> None:
    """A worker whose pool was killed writes its checkpoint and leaves, so that the same command can go on at once."""
    while os.getppid() == parent:
        time.sleep(1.0)
    interrupt.request("the pool is gone")
