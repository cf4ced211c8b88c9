"""A round that trains in a fraction of a second: random vectors, an MLP, and an observer that records what it hears."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from bits import copy_state
from torch import Tensor

from reinit_bench.core.config import Trainer
from reinit_bench.core.hooks import Hooks
from reinit_bench.core.randomness import stream
from reinit_bench.core.rounds import Round
from reinit_bench.data.augment import Augmentation
from reinit_bench.data.task import Split, Task
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.initializers import HeNormal, initialize
from reinit_bench.models.mlp import Mlp
from reinit_bench.training.interrupt import Interrupt
from reinit_bench.training.loop import train_round
from reinit_bench.training.observer import EpochEnd, Observer
from reinit_bench.training.round import Callbacks, RoundResult, RoundState

SEED = 7
FEATURES, CLASSES = 5, 3
TRAINER = Trainer(lr=0.05, weight_decay=0.01, batch_size=5, checkpoint_every=1000)
"""With the 22 training examples of `vector_task`: 5 steps an epoch, the last of 2 examples."""


ScriptValidation = Callable[[Sequence[tuple[float, float]]], None]
"""The fixture `script_validation`: takes the (accuracy, loss) of each epoch."""


def make_split(inputs: Tensor, labels: Tensor) -> Split:
    return Split(inputs, None, labels)


def make_task(train: Split, validation: Split | None = None, test: Split | None = None, classes: int = CLASSES) -> Task:
    """A task of vectors that are not scaled; validation and test default to the training split."""
    return Task(
        train=train,
        train_enlarged=None,
        validation=train if validation is None else validation,
        test=train if test is None else test,
        num_classes=classes,
        image_size=None,
        mean=torch.zeros(()),
        std=torch.ones(()),
        augmentation=Augmentation(),
    )


def random_split(count: int, name: str) -> Split:
    """Random vectors, labelled by the largest of their first three numbers, so that there is something to learn."""
    inputs = torch.randn(count, FEATURES, generator=stream(SEED, "example", name))
    return make_split(inputs, inputs[:, :CLASSES].argmax(1))


def vector_task() -> Task:
    """22 examples to train, 30 to validate, 12 to test."""
    return make_task(random_split(22, "train"), random_split(30, "validation"), random_split(12, "test"))


def mlp(dropout_rate: float = 0.0) -> BlockNet:
    """An MLP of 5, 6, 4 and 3 units, the same at every call."""
    net = Mlp(hidden=(6, 4)).build((FEATURES,), CLASSES, dropout_rate)
    initialize(net, HeNormal(), SEED, "initialize")
    return net


@dataclass
class RecordingObserver(Observer):
    """Keeps steps, epochs and checkpoints, and asks the round to stop after step `stop_after`."""

    net: BlockNet
    stop_after: int | None = None
    steps: list[tuple[int, int]] = field(default_factory=list)
    """(round, step) of every step done."""
    epochs: list[EpochEnd] = field(default_factory=list)
    saves: list[tuple[dict[str, Tensor], RoundState]] = field(default_factory=list)
    """Copies of the weights and of the state at every checkpoint."""
    interrupt: Interrupt = field(default_factory=Interrupt)

    def step_done(self, round_index: int, step: int) -> None:
        self.steps.append((round_index, step))
        if step == self.stop_after:
            self.interrupt.request("the test")

    def epoch_ended(self, event: EpochEnd) -> None:
        self.epochs.append(event)

    def save(self, state: RoundState) -> None:
        self.saves.append((copy_state(self.net), copy.deepcopy(state)))

    @property
    def losses(self) -> list[float]:
        """Losses of all steps, in order."""
        return [loss for event in self.epochs for loss in event.losses]


def train(
    net: BlockNet,
    task: Task,
    trainer: Trainer = TRAINER,
    *,
    steps: int,
    index: int = 1,
    precision: str = "fp32",
    compile_: str = "auto",
    total_step: int = 0,
    frozen: Set[str] = frozenset(),
    hooks: Hooks | None = None,
    resume: RoundState | None = None,
    carried: dict[str, Any] | None = None,
    observer: RecordingObserver | None = None,
) -> tuple[RoundResult, dict[str, Any]]:
    """One round of at most `steps` steps; its result has no duration, so that results can be compared."""
    watcher = observer or RecordingObserver(net)
    round_ = Round(index=index, block=2, repeat=1, max_steps=steps)
    result, optimizer = train_round(
        net,
        task,
        round_,
        trainer,
        seed=SEED,
        precision=precision,
        compile=compile_,
        frozen=frozen,
        hooks=hooks,
        resume=resume,
        carried=carried,
        total_step=total_step,
        callbacks=Callbacks(observer=watcher, interrupt=watcher.interrupt, save=watcher.save),
    )
    return replace(result, seconds=0.0), optimizer
