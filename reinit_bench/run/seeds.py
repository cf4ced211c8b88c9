"""Seeds of one experiment, trained side by side: what `experiment.run_experiment` does, for all of them at once.

Every run ends with the bits and the files that it would have alone, with three exceptions. `history.jsonl` holds the
last step of each round instead of every step. Seconds are the batch's, shared out evenly. No checkpoints are written: a
batch takes seconds, and runs of a killed one start anew.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.randomness import stream
from reinit_bench.core.rounds import Round
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.task import Task, load_task
from reinit_bench.diagnostics import leave_diagnostics
from reinit_bench.methods.base import Context, reinitialize
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.run.components import Parts, build_network, initial_norms
from reinit_bench.run.experiment import held
from reinit_bench.run.recorder import Journal
from reinit_bench.run.result import finished_result, run_result
from reinit_bench.store.files import write_json
from reinit_bench.store.lease import Lease
from reinit_bench.store.store import RunFolder, Store
from reinit_bench.training.batched import BatchedSteps, train_steps_together
from reinit_bench.training.device import set_up_arithmetic
from reinit_bench.training.evaluate import Metrics, evaluate
from reinit_bench.training.interrupt import Interrupt
from reinit_bench.training.loop import Diverged, RoundResult
from reinit_bench.training.observer import EpochEnd, Observer

Ended = Callable[[Experiment, dict[str, Any] | BaseException], None]
"""Called when a run has ended, with its result or with what ended it."""

RoundBegins = Callable[[int, int], None]
"""Called with a round's number and how many there are."""


def run_seeds(
    experiments: Sequence[Experiment],
    execution: Execution,
    ended: Ended,
    *,
    round_begins: RoundBegins = lambda index, rounds: None,
    interrupt: Interrupt | None = None,
) -> None:
    """Run experiments that differ only in the seed (`packs.can_share` says which may); `ended` hears of each.

    A run that fails leaves the others going. Finished ones are not run again.

    Raises:
        Interrupted: a stop was requested; `ended` has heard of every run.
    """
    parts = Parts.of(experiments[0], execution)
    set_up_arithmetic(parts.device)
    batch = _Batch(parts, execution, ended, round_begins, interrupt or Interrupt())
    for experiment in experiments:
        batch.take(experiment)
    batch.run()


@dataclass
class _Member:
    """One run of the batch, its lease held."""

    experiment: Experiment
    folder: RunFolder
    holding: Any
    """The open context of the lease; closing it with an error leaves that in `status.json`."""
    lease: Lease
    journal: Journal
    task: Task
    net: BlockNet
    norms: dict[str, float]

    def context(self, current: Round, parts: Parts) -> Context:
        return Context(
            round=current,
            seed=self.experiment.seed,
            initializer=parts.initializer,
            initial_norms=self.norms,
            sample=self._sample,
        )

    def _sample(self, count: int) -> Tensor:
        return self.task.sample(count, stream(self.experiment.seed, "sample"))


class _Batch:
    """The runs that are still going, and what they share."""

    def __init__(
        self, parts: Parts, execution: Execution, ended: Ended, round_begins: RoundBegins, interrupt: Interrupt
    ) -> None:
        self.parts, self.execution, self.ended = parts, execution, ended
        self.round_begins, self.interrupt = round_begins, interrupt
        self.members: list[_Member] = []
        self.started = time.perf_counter()

    def take(self, experiment: Experiment) -> None:
        """Begin a run, or say at once what came of it."""
        folder = Store(self.execution.results_dir).run(experiment.run_id)
        result = finished_result(folder)
        if result is not None:
            self.ended(experiment, result)
            return
        folder.create()
        holding = held(folder, Observer())
        try:
            lease = holding.__enter__()
        except ConfigError as error:  # another process works on it
            self.ended(experiment, error)
            return
        try:
            self.members.append(self._begun(experiment, folder, holding, lease))
        except Exception as error:
            self._leave(experiment, holding, error)

    def _begun(self, experiment: Experiment, folder: RunFolder, holding: Any, lease: Lease) -> _Member:
        folder.remove_leftovers()
        folder.write_config(experiment)
        task = load_task(experiment, self.parts.device)
        net = build_network(self.parts, experiment, task)
        return _Member(experiment, folder, holding, lease, Journal(folder), task, net, initial_norms(net))

    def run(self) -> None:
        """Train all rounds and write the results."""
        try:
            if self.members:
                self._rounds()
        except BaseException as error:
            for member in self.members:
                self._leave(member.experiment, member.holding, error)
            raise
        seconds = (time.perf_counter() - self.started) / max(1, len(self.members))
        for member in self.members:
            self._finish(member, seconds)

    def _rounds(self) -> None:
        method, trainer = self.parts.method, self.members[0].experiment.trainer
        rounds = method.rounds(self.members[0].net.num_blocks, method.repeats, trainer.max_steps)
        for current in rounds:
            self.round_begins(current.index, len(rounds))
            self._round(current)

    def _round(self, current: Round) -> None:
        started = time.perf_counter()

        def begin(member: _Member) -> None:
            reinitialize(self.parts.method, member.net, member.context(current, self.parts))

        def end(member: _Member) -> None:
            steps, place = outcomes[id(member)]
            self._end_round(member, current, steps, place, seconds)

        self._each(begin)
        outcomes = self._train(current)
        seconds = (time.perf_counter() - started) / max(1, len(self.members))
        self._each(end)

    def _train(self, current: Round) -> dict[int, tuple[BatchedSteps, int]]:
        """Train every run; for each, by its `id`, what its steps said and its place there."""
        groups: dict[frozenset[str], list[_Member]] = defaultdict(list)
        for member in self.members:
            groups[self.parts.method.frozen(member.net, member.context(current, self.parts))].append(member)
        found = {}
        for frozen, group in groups.items():
            nets, tasks = [member.net for member in group], [member.task for member in group]
            trainer = group[0].experiment.trainer
            steps = train_steps_together(
                nets, tasks, current.max_steps, trainer, frozen=frozen, interrupt=self.interrupt
            )
            found.update({id(member): (steps, place) for place, member in enumerate(group)})
        return found

    def _end_round(self, member: _Member, current: Round, steps: BatchedSteps, place: int, seconds: float) -> None:
        """Evaluate a run, as `training.loop` does at a round's end, and keep the round's lines."""
        bad = steps.first_bad_step(place)
        if bad is not None:
            raise Diverged(current.index, bad, float(steps.losses[place, bad - 1]))
        train, test = (self._evaluated(member, current, split) for split in ("train", "test"))
        trainer, count = member.experiment.trainer, current.max_steps
        member.journal.epoch_ended(
            EpochEnd(
                round=current.index,
                epoch=count,
                step=count,
                total_step=member.journal.total_step + count,
                lr=trainer.lr,
                losses=(steps.last_loss[place],),
                train_accuracy=steps.last_accuracy[place],
                validation_accuracy=None,
                validation_loss=None,
            )
        )
        member.journal.rounds.append(vars(_round_result(current, trainer.lr, train, test, seconds)))

    def _evaluated(self, member: _Member, current: Round, split: str) -> Metrics:
        metrics = evaluate(member.net, member.task, split, member.experiment.precision)
        if not math.isfinite(metrics.loss):
            raise Diverged(current.index, current.max_steps, metrics.loss)
        return metrics

    def _each(self, step: Callable[[_Member], object]) -> None:
        """Do `step` for every run; one for which it fails leaves the batch."""
        for member in list(self.members):
            try:
                step(member)
            except Exception as error:
                self.members.remove(member)
                member.journal.write()
                self._leave(member.experiment, member.holding, error)

    def _leave(self, experiment: Experiment, holding: Any, error: BaseException) -> None:
        """Give a run's lease back and say what ended it."""
        with suppress(type(error)):
            holding.__exit__(type(error), error, error.__traceback__)
        self.ended(experiment, error)

    def _finish(self, member: _Member, seconds: float) -> None:
        attempts, experiment = member.lease.attempt, member.experiment
        result = run_result(experiment, self.execution, self.parts, member.journal, member.net, attempts, seconds)
        try:
            member.journal.write()
            if self.execution.diagnostics:
                leave_diagnostics(member.folder, member.net, member.task, experiment.seed)
            write_json(member.folder.path / "result.json", result)
            member.journal.close()
        except Exception as error:
            self._leave(experiment, member.holding, error)
            return
        member.holding.__exit__(None, None, None)
        self.ended(experiment, result)


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
