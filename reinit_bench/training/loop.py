"""One round of training: minibatch SGD until the validation error has converged or the step limit is reached."""

from __future__ import annotations

import math
import time
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reinit_bench.core.config import Trainer
from reinit_bench.core.hooks import Hooks
from reinit_bench.core.randomness import stream
from reinit_bench.core.rounds import Round
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.task import Task
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.training.device import autocast
from reinit_bench.training.interrupt import Interrupted
from reinit_bench.training.observer import EpochEnd
from reinit_bench.training.optimizer import (
    check_carried,
    has_constant_lr,
    make_optimizer,
    schedule_factor,
    set_lr,
    worst_point_nearby,
)
from reinit_bench.training.round import Callbacks, Diverged, RoundResult, RoundState
from reinit_bench.training.step import REDUCE_OVERHEAD, Metrics, TrainingStep, backend_of, evaluate, memory_explained
from reinit_bench.training.stopping import Stopping


def train_round(
    net: BlockNet,
    task: Task,
    round: Round,  # noqa: A002 (the paper's word)
    trainer: Trainer,
    *,
    seed: int,
    precision: str = "fp32",
    compile: str = "auto",  # noqa: A002 (the option's name)
    frozen: Set[str] = frozenset(),
    hooks: Hooks | None = None,
    resume: RoundState | None = None,
    carried: dict[str, Any] | None = None,
    total_step: int = 0,
    callbacks: Callbacks | None = None,
) -> tuple[RoundResult, dict[str, Any]]:
    """Train `net` for one round, in place; returns its result and the optimizer's last state.

    Args:
        seed: the run's seed.
        precision: fp32 or bf16.
        compile: what compiles the step, see `step.backend_of`.
        frozen: names of parameters that stay as they are.
        hooks: what the method does while the round trains.
        resume: the state from a checkpoint of this round; `net` must hold that checkpoint's weights.
        carried: the optimizer's state at the end of the previous round, if it is carried over.
        total_step: steps of the whole run before this round.

    Raises:
        ConfigError: parameters are frozen while the optimizer's state is carried over; micro-batches of CUDA graphs.
        Diverged: the loss became NaN or infinite.
        Interrupted: a stop was requested; a checkpoint has been saved.
        OutOfMemory: the device does not have enough memory.
    """
    check_carried(carried, frozen)
    if compile == REDUCE_OVERHEAD and trainer.micro_batch is not None:
        raise ConfigError("compile=reduce-overhead cannot be used with trainer.micro_batch; use compile=inductor")
    training = _RoundTraining(
        net=net,
        task=task,
        round=round,
        trainer=trainer,
        seed=seed,
        precision=precision,
        total_step=total_step,
        callbacks=callbacks or Callbacks(),
        optimizer=make_optimizer(net, trainer, frozen),
        hooks=hooks,
        state=resume or _fresh_state(trainer, carried),
        backend=backend_of(compile, task.device),
        # Step 0 is saved too: a round's start, after reinitialization.
        saved_step=-1 if resume is None else resume.step,
    )
    if hooks is not None and resume is not None:
        hooks.load_state_dict(resume.hooks)
    at_once = min(training.batch_size, trainer.micro_batch or training.batch_size)
    with memory_explained(task.device, task.input_shape, precision, at_once):
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(name not in frozen)
        return training.run(), training.optimizer.state_dict()


def _fresh_state(trainer: Trainer, carried: dict[str, Any] | None) -> RoundState:
    stopping = Stopping(trainer.plateau_epochs, trainer.patience_epochs).to_dict()
    if carried is None:
        return RoundState(lr=trainer.lr, stopping=stopping)
    # On a plateau schedule the last round's learning rate goes on; any other begins anew in each round.
    lr = carried["param_groups"][0]["lr"] if trainer.schedule == "plateau" and has_constant_lr(trainer) else trainer.lr
    return RoundState(lr=lr, stopping=stopping, optimizer=carried)


@dataclass(kw_only=True)
class _RoundTraining:
    """The state of `train_round` while it runs."""

    net: BlockNet
    task: Task
    round: Round
    trainer: Trainer
    seed: int
    precision: str
    total_step: int
    callbacks: Callbacks
    optimizer: torch.optim.Optimizer
    hooks: Hooks | None
    state: RoundState
    backend: str | None
    saved_step: int

    def __post_init__(self) -> None:
        if self.state.optimizer:
            self.optimizer.load_state_dict(self.state.optimizer)
        set_lr(self.optimizer, self.state.lr)
        if self.hooks is not None:
            self.hooks.optimizer = self.optimizer
        self.has_constant_lr = has_constant_lr(self.trainer)
        self.validates_every_epoch = not (
            self.trainer.patience_epochs is None
            and self.trainer.round_weights == "last"
            and self.trainer.schedule != "plateau"
        )
        self.stopping = Stopping(**self.state.stopping)
        self.batch_size = min(self.trainer.batch_size, len(self.task.train))
        self.step = TrainingStep(self.net, self.precision, self.batch_size, self.trainer.micro_batch, self.backend)
        self.steps_per_epoch = math.ceil(len(self.task.train) / self.batch_size)
        self.unread: list[Tensor] = []
        self.correct = torch.zeros((), dtype=torch.int64, device=self.task.device)
        self.started = time.perf_counter() - self.state.seconds

    def run(self) -> RoundResult:
        converged = False
        while not converged and self.state.step < self.round.max_steps:
            self._train_epoch()
            converged = self._end_epoch()
        if self.trainer.round_weights == "best":
            self.net.load_state_dict(self.state.best)
        return self._result(converged)

    def _train_epoch(self) -> None:
        """Train the rest of the current epoch, up to the step limit."""
        state = self.state
        self.net.train()
        order = self._order()
        first = state.step - (state.epoch - 1) * self.steps_per_epoch
        for batch in range(first, self.steps_per_epoch):
            if state.step == self.round.max_steps:
                return
            if self.callbacks.interrupt.requested:
                self._save()
                raise Interrupted(self.callbacks.interrupt.reason)
            if state.step % self.trainer.checkpoint_every == 0 and state.step != self.saved_step:
                self._save()
            self._train_step(order[batch * self.batch_size : (batch + 1) * self.batch_size])
            self.callbacks.observer.step_done(self.round.index, state.step)

    def _order(self) -> Tensor:
        """This epoch's order of the training examples (int64, on the device)."""
        count = len(self.task.train)
        if self.steps_per_epoch == 1:
            # One batch holds them all: an order would change only the last bits of its sums.
            return torch.arange(count, device=self.task.device)
        generator = stream(self.seed, "order", self.round.index, self.state.epoch)
        return torch.randperm(count, generator=generator).to(self.task.device)

    def _train_step(self, positions: Tensor) -> None:
        """One minibatch. Nothing here waits for the device: losses are read at the epoch's end."""
        seed, index, step = self.seed, self.round.index, self.state.step
        inputs, labels = self.task.train_batch(positions, stream(seed, "augment", index, step))
        loss, right = self._gradients(inputs, labels)
        if self.trainer.optimizer == "sam":
            with worst_point_nearby(self.net, self.trainer.sam_radius):
                self._gradients(inputs, labels)
        self._update()
        self.unread.append(loss)
        self.correct += right
        self.state.step += 1
        self.state.seen += len(labels)

    def _gradients(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of the loss and of a method's penalty; the loss and the number of correct answers."""
        for number, dropout in enumerate(self.step.dropouts):
            purpose = ("dropout", self.round.index, self.state.step, number)
            dropout.generator = stream(self.seed, *purpose, device=self.task.device)
        self.optimizer.zero_grad(set_to_none=True)
        if self.hooks is None:
            return self.step(inputs, labels)
        with autocast(self.task.device, self.precision):
            targets = self.hooks.targets(inputs, labels)
        loss, right = self.step(inputs, labels, targets)
        penalty = self.hooks.penalty(self.net)
        if penalty is not None:
            penalty.backward()
        return loss, right

    def _update(self) -> None:
        """The optimizer's step, at this step's learning rate."""
        if not self.has_constant_lr:
            set_lr(self.optimizer, self._lr(self.state.step))
        if self.hooks is None:
            self.optimizer.step()
            return
        self.hooks.before_step(self.net)
        self.optimizer.step()
        self.hooks.after_step(self.net)

    def _lr(self, step: int) -> float:
        """The learning rate of a step of this round, counted from 0."""
        return self.state.lr * schedule_factor(self.trainer, step, self.round.max_steps)

    def _read_device(self) -> None:
        """Bring losses and counts of correct answers to the host.

        Raises:
            Diverged: a loss is not finite.
        """
        state = self.state
        if not self.unread:
            return
        losses = torch.stack(self.unread).tolist()
        for number, loss in enumerate(losses):
            if not math.isfinite(loss):
                raise Diverged(self.round.index, state.step - len(losses) + number + 1, loss)
        state.losses += losses
        state.correct += int(self.correct)
        self.unread.clear()
        self.correct.zero_()

    def _save(self) -> None:
        """Collect into the state what is kept elsewhere while steps are taken, and have it saved."""
        self._read_device()
        self.state.stopping = self.stopping.to_dict()
        self.state.optimizer = self.optimizer.state_dict()
        if self.hooks is not None:
            self.state.hooks = self.hooks.state_dict()
        self.state.seconds = time.perf_counter() - self.started
        self.callbacks.save(self.state)
        self.saved_step = self.state.step

    def _end_epoch(self) -> bool:
        """Validate, keep the best weights, lower the learning rate; returns whether the round has converged."""
        self._read_device()
        state, converged = self.state, False
        lr, metrics = self._lr(state.step - 1), self._validate()
        if metrics is not None:
            decision = self.stopping.update(metrics.accuracy, metrics.loss)
            # A cosine is laid out over all steps of the round.
            converged = decision.converged and self.trainer.schedule != "cosine"
            if decision.best:
                state.best = {name: value.detach().clone() for name, value in self.net.state_dict().items()}
            if decision.halve and self.trainer.schedule == "plateau":
                state.lr *= self.trainer.lr_factor
                set_lr(self.optimizer, state.lr)
        self._tell(lr, metrics)
        if self.hooks is not None and not converged and state.step < self.round.max_steps:
            self.hooks.after_epoch(self.net, self.optimizer)
        state.epoch += 1
        state.losses, state.correct, state.seen = [], 0, 0
        return converged

    def _validate(self) -> Metrics | None:
        is_last = self.state.step == self.round.max_steps
        if len(self.task.validation) == 0 or not (self.validates_every_epoch or is_last):
            return None
        metrics = self._evaluate("validation")
        self.state.validation = {"accuracy": metrics.accuracy, "loss": metrics.loss}
        return metrics

    def _evaluate(self, split: str) -> Metrics:
        metrics = evaluate(self.net, self.task, split, self.precision, self.trainer.micro_batch)
        if not math.isfinite(metrics.loss):
            raise Diverged(self.round.index, self.state.step, metrics.loss)
        return metrics

    def _tell(self, lr: float, metrics: Metrics | None) -> None:
        state = self.state
        event = EpochEnd(
            round=self.round.index,
            epoch=state.epoch,
            step=state.step,
            total_step=self.total_step + state.step,
            lr=lr,
            losses=tuple(state.losses),
            train_accuracy=state.correct / state.seen,
            validation_accuracy=None if metrics is None else metrics.accuracy,
            validation_loss=None if metrics is None else metrics.loss,
        )
        self.callbacks.epoch_ended(event)
        self.callbacks.observer.epoch_ended(event)

    def _result(self, converged: bool) -> RoundResult:
        state = self.state
        train, test = self._evaluate("train"), self._evaluate("test")
        validation = state.validation
        if self.trainer.round_weights == "best":
            validation = {"accuracy": self.stopping.best_accuracy, "loss": self.stopping.best_loss}
        return RoundResult(
            index=self.round.index,
            block=self.round.block,
            repeat=self.round.repeat,
            steps=state.step,
            epochs=state.epoch - 1,
            train_accuracy=train.accuracy,
            train_loss=train.loss,
            validation_accuracy=validation.get("accuracy"),
            validation_loss=validation.get("loss"),
            test_accuracy=test.accuracy,
            test_loss=test.loss,
            lr=self._lr(state.step - 1),
            converged=converged,
            seconds=time.perf_counter() - self.started,
        )
