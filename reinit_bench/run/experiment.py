"""One experiment from configuration to result; reads like Algorithm 1."""

from __future__ import annotations

import contextlib
import traceback
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.provenance import slurm_job
from reinit_bench.core.randomness import stream
from reinit_bench.core.rounds import Round
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.task import Task, load_task
from reinit_bench.diagnostics import leave_diagnostics
from reinit_bench.methods.base import Context, reinitialize
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.run.components import Parts, build_network, initial_norms
from reinit_bench.run.recorder import Journal
from reinit_bench.run.result import finished_result, round_end, run_result
from reinit_bench.store.files import StoreError, write_json
from reinit_bench.store.lease import Lease
from reinit_bench.store.store import RunFolder, Store
from reinit_bench.training.device import set_up_arithmetic
from reinit_bench.training.interrupt import Interrupt, Interrupted
from reinit_bench.training.loop import RoundResult, RoundState, Surroundings, train_round
from reinit_bench.training.observer import Observer, RunEnd, RunStart

LoadTask = Callable[[Experiment, torch.device], Task]


def run_experiment(
    experiment: Experiment,
    execution: Execution,
    *,
    observer: Observer | None = None,
    interrupt: Interrupt | None = None,
    load: LoadTask = load_task,
) -> dict[str, Any]:
    """Run one experiment to its end, from wherever an earlier attempt left it; returns its result.

    A finished one is not run again. `load` gives the task, for callers that keep tasks from run to run.

    Raises:
        Interrupted: a stop was requested; the same call goes on from the checkpoint.
        RunHeld: another process works on it.
        ConfigError, Diverged: it cannot be run, or it ran away; the cause is kept in `status.json`.
    """
    folder = Store(execution.results_dir).run(experiment.run_id)
    result = finished_result(folder)
    if result is not None:
        return result
    # Before anything is written: a setting that is out of range must leave nothing behind.
    parts = Parts.of(experiment, execution)
    folder.create()
    observer, interrupt = observer or Observer(), interrupt or Interrupt()
    with held(folder, observer) as lease:
        # Another process may have finished it while this one waited for the lease.
        result = finished_result(folder)
        if result is None:
            folder.remove_leftovers()
            folder.write_config(experiment)
            result = _Run(experiment, execution, parts, folder, lease, observer, interrupt, load).result()
            write_json(folder.path / "result.json", result)
            Journal(folder).close()
            observer.run_ended(RunEnd(state="done", summary=result, directory=str(folder.path)))
    return result


@contextlib.contextmanager
def held(folder: RunFolder, observer: Observer) -> Iterator[Lease]:
    """Hold the run's lease; leave how it ended in `status.json` and tell the observer where it ended badly."""
    lease = Lease(folder, slurm_job=slurm_job())
    lease.acquire()
    try:
        yield lease
    except BaseException as error:
        state = "interrupted" if isinstance(error, (Interrupted, KeyboardInterrupt)) else "failed"
        summary = {"error": str(error), "kind": type(error).__name__}
        # Before the lease goes: whoever takes the run over must find the observers' files closed.
        observer.run_ended(RunEnd(state=state, summary=summary, directory=str(folder.path)))
        lease.update(error_kind=type(error).__name__)
        lease.release(state, error=_last_lines(error))
        raise
    lease.release("done")


class _Run:
    """One attempt at one experiment."""

    def __init__(
        self,
        experiment: Experiment,
        execution: Execution,
        parts: Parts,
        folder: RunFolder,
        lease: Lease,
        observer: Observer,
        interrupt: Interrupt,
        load: LoadTask,
    ) -> None:
        self.experiment, self.execution, self.parts, self.folder = experiment, execution, parts, folder
        self.lease, self.observer, self.interrupt = lease, observer, interrupt
        set_up_arithmetic(parts.device)
        self.task = load(experiment, parts.device)
        self.journal = Journal(folder)

    def result(self) -> dict[str, Any]:
        """Train all rounds that are left and say what came out; whatever happens, what was saved is on disk then."""
        try:
            result = self._result()
        except BaseException:
            # The training's own error says more than one of the disk.
            with contextlib.suppress(StoreError):
                self.journal.wait()
            raise
        self.journal.wait()
        return result

    def _result(self) -> dict[str, Any]:
        net = build_network(self.parts, self.experiment, self.task)
        norms = initial_norms(net)
        rounds = self.parts.method.rounds(net.num_blocks, self.parts.method.repeats, self.experiment.trainer.max_steps)
        resumed = self.journal.restore(net, self.parts.device)
        self._announce(rounds, resumed)
        sample = partial(self._sample, stream_name="sample")
        for current in rounds[len(self.journal.rounds) :]:
            context = Context(
                round=current,
                seed=self.experiment.seed,
                initializer=self.parts.initializer,
                initial_norms=norms,
                sample=sample,
            )
            if resumed is None:
                reinitialize(self.parts.method, net, context)
            self._train(net, context, len(rounds), resumed)
            resumed = None
        # Taken before anything is measured: measuring is no part of the result.
        result = self._summary(net)
        if self.execution.diagnostics:
            leave_diagnostics(self.folder, net, self.task, self.experiment.seed)
        return result

    def _train(self, net: BlockNet, context: Context, rounds: int, resumed: RoundState | None) -> None:
        carry = self.experiment.trainer.optimizer_between_rounds == "carry"
        frozen = self.parts.method.frozen(net, context)
        if carry and frozen:
            raise ConfigError("trainer.optimizer_between_rounds=carry cannot go with a method that freezes parameters")
        carried = self.journal.optimizer if carry else None
        result, optimizer = self._train_round(net, context.round, frozen, resumed, carried)
        self.journal.round_ended(result, optimizer if carry else None)
        self.observer.round_ended(round_end(self.journal.rounds, rounds))

    def _train_round(
        self,
        net: BlockNet,
        current: Round,
        frozen: frozenset[str],
        resumed: RoundState | None,
        carried: dict[str, Any] | None,
    ) -> tuple[RoundResult, dict[str, Any] | None]:
        try:
            return train_round(
                net,
                self.task,
                current,
                self.experiment.trainer,
                surroundings=self._surroundings(net),
                frozen=frozen,
                resume=resumed,
                carried=carried,
            )
        except Interrupted:
            # Nobody may take the run for resumable whose last checkpoint could not be written.
            self.journal.write()
            raise
        except Exception:
            # Whatever went wrong, the curve up to here is worth keeping.
            with contextlib.suppress(StoreError):
                self.journal.write()
            raise

    def _surroundings(self, net: BlockNet) -> Surroundings:
        return Surroundings(
            seed=self.experiment.seed,
            precision=self.experiment.precision,
            compile=self.execution.compile,
            total_step=self.journal.total_step,
            observer=self.observer,
            interrupt=self.interrupt,
            save=partial(self._save, net),
            epoch_ended=self.journal.epoch_ended,
        )

    def _save(self, net: BlockNet, state: RoundState) -> None:
        if not self.lease.check():
            raise ConfigError(f"run {self.folder.run_id} was taken over by another process; this one stops")
        self.journal.save(net, state)
        self.lease.update(round=len(self.journal.rounds) + 1, step=state.step)

    def _sample(self, count: int, *, stream_name: str) -> Tensor:
        return self.task.sample(count, stream(self.experiment.seed, stream_name))

    def _announce(self, rounds: tuple[Round, ...], resumed: RoundState | None) -> None:
        for problem in self.journal.problems:
            warnings.warn(problem, stacklevel=2)
        self.observer.run_started(
            RunStart(
                run_id=self.folder.run_id,
                title=self.experiment.title,
                config=self.experiment.to_dict(),
                study=self.execution.study,
                rounds=len(rounds),
                steps_per_round=max(current.max_steps for current in rounds),
                first_step=self.journal.total_step + (resumed.step if resumed else 0),
            )
        )
        for count in range(1, len(self.journal.rounds) + 1):
            self.observer.round_ended(round_end(self.journal.rounds[:count], len(rounds)))

    def _summary(self, net: BlockNet) -> dict[str, Any]:
        return run_result(
            self.experiment, self.execution, self.parts, self.journal, net, self.lease.attempt, self.journal.seconds
        )


def _last_lines(error: BaseException, count: int = 15) -> str:
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(lines[-count:])
