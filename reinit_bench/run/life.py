"""One life of a run: from acquiring its lease to the state it is left in."""

from __future__ import annotations

import dataclasses
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.provenance import slurm_job
from reinit_bench.core.rounds import Round
from reinit_bench.core.settings import ConfigError
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.run.recorder import Recorder
from reinit_bench.store.files import StoreError
from reinit_bench.store.lease import Lease, LeaseLost
from reinit_bench.store.store import Store
from reinit_bench.training.interrupt import Interrupt, Interrupted
from reinit_bench.training.loop import RoundResult, RoundState
from reinit_bench.training.observer import Observer, RoundEnd, RunEnd, RunStart


class Life:
    """A run held by this process: its folder, its lease, its recorder and its observer.

    Attributes:
        result: the content of `result.json`; None until the run is done.
    """

    def __init__(self, experiment: Experiment, execution: Execution, observer: Observer, interrupt: Interrupt) -> None:
        self.experiment, self.execution, self.observer = experiment, execution, observer
        self.folder = Store(execution.results_dir).run(experiment.run_id)
        self.folder.create()
        self.lease = Lease(self.folder, slurm_job=slurm_job())
        self.result = self.lease.acquire(lambda: interrupt.requested)
        self.recorder = Recorder(self.folder)
        self._is_over = self.result is not None

    def begin(self, rounds: Sequence[Round], resumed: RoundState | None) -> None:
        """Tell the observer what is about to be trained, and which rounds earlier attempts have finished."""
        for problem in self.recorder.problems:
            warnings.warn(problem, stacklevel=2)
        self.observer.run_started(
            RunStart(
                run_id=self.experiment.run_id,
                title=self.experiment.title,
                config=self.experiment.to_dict(),
                study=self.execution.study,
                rounds=len(rounds),
                steps_per_round=max(current.max_steps for current in rounds),
                first_step=self.recorder.total_step + (resumed.step if resumed else 0),
            )
        )
        for count in range(1, len(self.recorder.rounds) + 1):
            self.observer.round_ended(_round_end(self.recorder.rounds[:count], len(rounds)))

    def save(self, net: BlockNet, state: RoundState) -> None:
        """Write a checkpoint of the running round.

        Raises:
            LeaseLost: another process has taken the run over, so the previous checkpoint was not written.
            StoreError: the previous checkpoint could not be written.
        """
        self.recorder.save(net, state)
        self.lease.update(round=len(self.recorder.rounds) + 1, step=state.step)

    def round_ended(self, result: RoundResult, optimizer: Mapping[str, Any] | None, rounds: int) -> None:
        """Record a round and tell the observer; `rounds` is the run's total number of rounds."""
        self.recorder.round_ended(result, optimizer)
        self.observer.round_ended(_round_end(self.recorder.rounds, rounds))

    def finish(self, result: dict[str, Any]) -> dict[str, Any]:
        """Write `result.json`, which makes the run done, and release the lease; returns what was written.

        Raises:
            LeaseLost: another process has taken the run over.
            StoreError: the result, or something that the run wrote earlier, did not reach the disk.
        """
        self.recorder.wait()
        self.result = self.folder.write_result(result)
        self.recorder.close()
        self._tell_end("done", self.result)
        self._release("done")
        return self.result

    def fail(self, error: BaseException) -> None:
        """Write the curve so far, set `interrupted` or `failed` in `status.json`, and release the lease.

        Raises:
            LeaseLost: another process has taken the run over; nothing is written.
            StoreError: an interrupted run's last checkpoint did not reach the disk, so the run has failed instead.
        """
        if self._is_over:
            return
        lost: ConfigError | None = None
        try:
            self.recorder.write()
        except StoreError as problem:
            # The training's own error says more than the disk's; but an interrupted run must be one that can resume.
            lost = problem if isinstance(error, Interrupted) else None
        except LeaseLost as problem:
            lost = problem
        cause = lost or error
        state = "interrupted" if isinstance(cause, (Interrupted, KeyboardInterrupt)) else "failed"
        # Before the lease is released: whoever takes the run over must find the observers' files closed.
        self._tell_end(state, {"error": str(cause), "kind": type(cause).__name__})
        self.lease.update(error_kind=type(cause).__name__)
        self._release(state, error=_last_lines(cause))
        if lost is not None:
            raise lost

    def _tell_end(self, state: str, summary: Mapping[str, Any]) -> None:
        self.observer.run_ended(RunEnd(state=state, summary=summary, directory=str(self.folder.path)))

    def _release(self, state: str, error: str | None = None) -> None:
        self._is_over = True
        self.lease.release(state, error)


@contextmanager
def life_of(
    experiment: Experiment,
    execution: Execution,
    observer: Observer | None = None,
    interrupt: Interrupt | None = None,
) -> Iterator[Life]:
    """Acquire a run, unless it is done (`Life.result`); an error that ends the block also ends the run's life.

    Raises:
        RunHeld: another process works on it.
        StoreError: the results folder cannot be written.
    """
    life = Life(experiment, execution, observer or Observer(), interrupt or Interrupt())
    try:
        if life.result is None:
            life.folder.remove_leftovers()
            life.folder.write_config(experiment)
        yield life
    except BaseException as error:
        life.fail(error)
        raise


def _round_end(rows: Sequence[Mapping[str, Any]], rounds: int) -> RoundEnd:
    """The event for the last of these rounds, given as the recorder's rows."""
    last, names = rows[-1], {spec.name for spec in dataclasses.fields(RoundEnd)}
    values = {name: value for name, value in last.items() if name in names}
    return RoundEnd(round=last["index"], rounds=rounds, total_step=sum(row["steps"] for row in rows), **values)


def _last_lines(error: BaseException, count: int = 15) -> str:
    """The end of the traceback; of what the user can mend, such as a wrong setting, the message alone."""
    if isinstance(error, ConfigError):
        return str(error)
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(lines[-count:])
