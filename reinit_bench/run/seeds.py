"""Seeds of one experiment, trained side by side: what `run_experiment` does, for all of them at once.

Every run ends with the same bits and files as if it ran alone, with three exceptions. `history.jsonl` holds the last
step of each round instead of every step. Seconds are the batch's, divided evenly by the `side_by_side` of the result.
No checkpoints are written: a batch takes seconds, and the runs of a killed batch start over.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.rounds import Round
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.task import load_task
from reinit_bench.diagnostics import write_diagnostics
from reinit_bench.kernels.many_mlps import Accumulated, Steps
from reinit_bench.methods.base import acts_while_training, begin_round
from reinit_bench.run.components import Assembly, Components, assemble
from reinit_bench.run.life import Life, life_of
from reinit_bench.run.result import run_result
from reinit_bench.training.device import one_thread, set_up_arithmetic
from reinit_bench.training.evaluate import Metrics, evaluate
from reinit_bench.training.interrupt import Interrupt
from reinit_bench.training.loop import Diverged, RoundResult
from reinit_bench.training.observer import EpochEnd
from reinit_bench.training.optimizer import check_carried
from reinit_bench.training.side_by_side import train_side_by_side

Ended = Callable[[Experiment, dict[str, Any] | BaseException], None]
"""Called when a run has ended, with its result or with the exception that ended it."""

RoundBegins = Callable[[int, int], None]
"""Called with a round's number and the number of rounds."""


class TrainsAlone(ConfigError):
    """Runs of this method cannot train side by side."""


def run_seeds(
    experiments: Sequence[Experiment],
    execution: Execution,
    ended: Ended,
    *,
    round_begins: RoundBegins = lambda index, rounds: None,
    interrupt: Interrupt | None = None,
) -> None:
    """Run experiments that differ only in the seed and pass `sweep.jobs.can_train_side_by_side`.

    `ended` is called once for each of them. A run that fails does not stop the others; a finished one is not run again.

    Raises:
        TrainsAlone: the method acts while a round trains; nothing has begun.
        Interrupted: a stop was requested; `ended` has been called for every run.
    """
    components = Components.of(experiments[0], execution)
    if acts_while_training(components.method):
        raise TrainsAlone(f"method {experiments[0].method['name']} acts while a round trains; its seeds train alone")
    set_up_arithmetic(components.device)
    batch = _Batch(components, execution, ended)
    try:
        # On busy cores a second thread made the synthetic study more than five times slower: its steps are that small.
        with one_thread(), ExitStack() as lives:
            for experiment in experiments:
                batch.take(experiment, lives)
            batch.train(round_begins, interrupt or Interrupt())
    except BaseException as error:
        # Their lives ended with the block; what is left is to report them.
        for member in batch.members:
            ended(member.run.experiment, error)
        raise


@dataclass
class _Member:
    """One run of the batch."""

    life: Life
    run: Assembly
    steps: Steps | None = None
    """What the current round's steps returned."""

    def carried(self) -> Accumulated | None:
        """The optimizer's state at the end of the last round, if it is carried over."""
        carries = self.run.experiment.trainer.optimizer_between_rounds == "carry"
        return self.steps.optimizer if carries and self.steps is not None else None


class _Batch:
    """The runs that are still in training, and what they have in common."""

    def __init__(self, components: Components, execution: Execution, ended: Ended) -> None:
        self.components, self.execution, self.ended = components, execution, ended
        self.members: list[_Member] = []
        self.started = time.perf_counter()

    def take(self, experiment: Experiment, lives: ExitStack) -> None:
        """Begin a run, or report at once that it is done, held or failed."""
        try:
            life = lives.enter_context(life_of(experiment, self.execution))
        except ConfigError as error:  # another process works on it
            self.ended(experiment, error)
            return
        if life.result is not None:
            self.ended(experiment, life.result)
            return
        try:
            run = assemble(self.components, experiment, load_task(experiment, self.components.device))
        except Exception as error:
            self._fail(life, error)
        else:
            self.members.append(_Member(life, run))

    def train(self, round_begins: RoundBegins, interrupt: Interrupt) -> None:
        """Train all rounds and write the results."""
        rounds = self.members[0].run.rounds if self.members else ()
        for current in rounds:
            round_begins(current.index, len(rounds))
            self._round(current, interrupt)
        count = max(1, len(self.members))
        seconds = (time.perf_counter() - self.started) / count
        self._each(lambda member: self._finish(member, seconds, count))

    def _round(self, current: Round, interrupt: Interrupt) -> None:
        started = time.perf_counter()
        self._each(lambda member: begin_round(self.components.method, member.run.net, member.run.context(current)))
        self._each(lambda member: check_carried(member.carried(), self._frozen(member, current)))
        groups: dict[frozenset[str], list[_Member]] = defaultdict(list)
        for member in self.members:
            groups[self._frozen(member, current)].append(member)
        for frozen, group in groups.items():
            carried = [state for member in group if (state := member.carried()) is not None]
            said = train_side_by_side(
                [member.run.net for member in group],
                [member.run.task.of_round(current.index) for member in group],
                current.max_steps,
                group[0].run.experiment.trainer,
                frozen=frozen,
                carried=carried or None,
                interrupt=interrupt,
            )
            for member, steps in zip(group, said, strict=True):
                member.steps = steps
        seconds = (time.perf_counter() - started) / max(1, len(self.members))
        self._each(lambda member: _end_round(member, current, seconds))

    def _frozen(self, member: _Member, current: Round) -> frozenset[str]:
        return self.components.method.frozen(member.run.net, member.run.context(current))

    def _each(self, step: Callable[[_Member], object]) -> None:
        """Call `step` for every run; a run for which it fails leaves the batch."""
        for member in list(self.members):
            try:
                step(member)
            except Exception as error:
                self.members.remove(member)
                self._fail(member.life, error)

    def _fail(self, life: Life, error: Exception) -> None:
        life.fail(error)
        self.ended(life.experiment, error)

    def _finish(self, member: _Member, seconds: float, count: int) -> None:
        life, run = member.life, member.run
        rounds, attempts = life.recorder.rounds, life.lease.attempt
        result = run_result(run, self.execution, rounds, attempts=attempts, seconds=seconds, side_by_side=count)
        if self.execution.diagnostics:
            write_diagnostics(life.folder, run.net, run.task.of_round(len(run.rounds)), run.experiment.seed)
        life.recorder.write()
        written = life.finish(result)
        self.members.remove(member)
        self.ended(run.experiment, written)


def _end_round(member: _Member, current: Round, seconds: float) -> None:
    """Evaluate a run, as `training.loop` does at a round's end, and record the round."""
    steps, trainer, count = member.steps, member.run.experiment.trainer, current.max_steps
    assert steps is not None
    if steps.first_bad is not None:
        raise Diverged(current.index, steps.first_bad, float(steps.losses[steps.first_bad - 1]))
    train, test = _evaluated(member.run, current, "train"), _evaluated(member.run, current, "test")
    recorder = member.life.recorder
    recorder.epoch_ended(
        EpochEnd(
            round=current.index,
            epoch=count,
            step=count,
            total_step=recorder.total_step + count,
            lr=trainer.lr,
            losses=(steps.last_loss,),
            train_accuracy=steps.last_accuracy,
            validation_accuracy=None,
            validation_loss=None,
        )
    )
    recorder.rounds.append(vars(_round_result(current, trainer.lr, train, test, seconds)))


def _evaluated(run: Assembly, current: Round, split: str) -> Metrics:
    metrics = evaluate(run.net, run.task.of_round(current.index), split, run.experiment.precision)
    if not math.isfinite(metrics.loss):
        raise Diverged(current.index, current.max_steps, metrics.loss)
    return metrics


def _round_result(current: Round, lr: float, train: Metrics, test: Metrics, seconds: float) -> RoundResult:
    return RoundResult(
        index=current.index,
        block=current.block,
        repeat=current.repeat,
        steps=current.max_steps,
        epochs=current.max_steps,
        train_accuracy=train.accuracy,
        train_loss=train.loss,
        validation_accuracy=None,
        validation_loss=None,
        test_accuracy=test.accuracy,
        test_loss=test.loss,
        lr=lr,
        converged=False,
        seconds=seconds,
    )
