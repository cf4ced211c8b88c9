"""How a round ends: its weights, its learning rate, divergence, interruption."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from bits import bit_equal, copy_state
from training_helpers import (
    TRAINER,
    RecordingObserver,
    ScriptValidation,
    make_split,
    make_task,
    mlp,
    train,
    vector_task,
)

from reinit_bench.core.randomness import stream
from reinit_bench.data.task import Task
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.training.interrupt import Interrupted
from reinit_bench.training.round import Diverged
from reinit_bench.training.step import evaluate

BEST_IS_SECOND = [(0.5, 1.0), (0.7, 0.9), (0.7, 0.95), (0.6, 0.1)]


class Epochs(RecordingObserver):
    """Keeps the weights at every epoch's end too."""

    def __init__(self, net: BlockNet) -> None:
        super().__init__(net)
        self.weights: list[dict[str, torch.Tensor]] = []

    def step_done(self, round_index: int, step: int) -> None:
        super().step_done(round_index, step)
        if step % 5 == 0:
            self.weights.append(copy_state(self.net))


@pytest.mark.parametrize(("kept", "epoch", "metrics"), [("best", 2, (0.7, 0.9)), ("last", 4, (0.6, 0.1))])
def test_a_round_ends_with_its_best_or_its_last_weights(
    script_validation: ScriptValidation, kept: str, epoch: int, metrics: tuple[float, float]
) -> None:
    script_validation(BEST_IS_SECOND)
    net, task = mlp(), vector_task()
    observer = Epochs(net)
    result, _ = train(net, task, replace(TRAINER, round_weights=kept), steps=20, observer=observer)
    assert bit_equal(copy_state(net), observer.weights[epoch - 1])
    assert (result.validation_accuracy, result.validation_loss) == metrics
    for split_name in ("train", "test"):
        expected = evaluate(net, task, split_name, "fp32")
        told = (getattr(result, f"{split_name}_accuracy"), getattr(result, f"{split_name}_loss"))
        assert told == (expected.accuracy, expected.loss)
    assert (result.index, result.block, result.repeat, result.steps, result.epochs) == (1, 2, 1, 20, 4)


def test_a_partial_last_epoch_is_validated_too(script_validation: ScriptValidation) -> None:
    script_validation([(0.5, 1.0), (0.7, 1.0)])
    net = mlp()
    observer = Epochs(net)
    result, _ = train(net, vector_task(), steps=7, observer=observer)
    assert (result.validation_accuracy, result.epochs, len(observer.epochs[1].losses)) == (0.7, 2, 2)
    assert not bit_equal(copy_state(net), observer.weights[0])


def test_a_plateau_halves_the_learning_rate_until_the_round_has_converged(script_validation: ScriptValidation) -> None:
    script_validation([(0.5, 1.0)] * 7)
    net = mlp()
    observer = RecordingObserver(net)
    trainer = replace(TRAINER, lr=0.8, plateau_epochs=2, patience_epochs=6, batch_size=22)
    result, optimizer = train(net, vector_task(), trainer, steps=1000, observer=observer)
    assert [event.lr for event in observer.epochs] == [0.8, 0.8, 0.8, 0.4, 0.4, 0.2, 0.2]
    assert (result.lr, result.steps, result.epochs, result.converged) == (0.1, 7, 7, True)
    assert [group["lr"] for group in optimizer["param_groups"]] == [0.1, 0.1]


def test_without_validation_examples_only_the_step_limit_ends_a_round() -> None:
    task = vector_task()
    bare = make_task(task.train, make_split(torch.empty(0, 5), torch.empty(0, dtype=torch.int64)), task.test)
    trainer = replace(TRAINER, validation_fraction=0.0, round_weights="last", plateau_epochs=1, patience_epochs=1)
    net = mlp()
    observer = RecordingObserver(net)
    result, _ = train(net, bare, trainer, steps=15, observer=observer)
    assert (result.steps, result.converged, result.lr) == (15, False, TRAINER.lr)
    assert (result.validation_accuracy, result.validation_loss) == (None, None)
    assert [event.validation_accuracy for event in observer.epochs] == [None] * 3


def spoiled_task(example: int) -> Task:
    """The vector task with one training example that is not a number."""
    task = vector_task()
    inputs = task.train.stored.clone()
    inputs[example, 0] = float("nan")
    return make_task(make_split(inputs, task.train.labels), task.validation, task.test)


@pytest.mark.parametrize("example", [0, 9, 21])
@pytest.mark.parametrize("checkpoint_every", [1, 1000])
def test_divergence_names_the_round_and_the_first_such_step(example: int, checkpoint_every: int) -> None:
    order = torch.randperm(22, generator=stream(7, "order", 4, 1)).tolist()
    step = order.index(example) // 5 + 1
    net = mlp()
    observer = RecordingObserver(net)
    trainer = replace(TRAINER, checkpoint_every=checkpoint_every)
    with pytest.raises(Diverged, match=rf"^the loss became nan in round 4 at step {step}; try a lower") as error:
        train(net, spoiled_task(example), trainer, steps=50, index=4, observer=observer)
    assert (error.value.round, error.value.step) == (4, step)
    # No checkpoint holds diverged values.
    assert [state.step for _, state in observer.saves] == (list(range(step)) if checkpoint_every == 1 else [0])
    assert all(value.isfinite().all() for saved, _ in observer.saves for value in saved.values())


@pytest.mark.parametrize("validated", [True, False])
def test_weights_ruined_by_the_last_step_are_not_a_result(validated: bool) -> None:
    """The loss of the only step is finite but the updated weights are not, and no later step would notice."""
    task, trainer = vector_task(), replace(TRAINER, lr=3e38, batch_size=22)
    if not validated:
        task = make_task(task.train, make_split(torch.empty(0, 5), torch.empty(0, dtype=torch.int64)), task.test)
        trainer = replace(trainer, validation_fraction=0.0, round_weights="last")
    with pytest.raises(Diverged, match=r"^the loss became (nan|inf) in round 2 at step 1; try a lower trainer\.lr$"):
        train(mlp(), task, trainer, steps=1, index=2)


def test_a_stop_request_is_obeyed_before_the_next_step_with_a_checkpoint() -> None:
    net = mlp()
    observer = RecordingObserver(net, stop_after=3)
    with pytest.raises(Interrupted, match=r"^the test$"):
        train(net, vector_task(), steps=50, observer=observer)
    assert [step for _, step in observer.steps] == [1, 2, 3]
    assert [(state.step, state.epoch, state.seen, len(state.losses)) for _, state in observer.saves] == [
        (0, 1, 0, 0),
        (3, 1, 15, 3),
    ]
    assert bit_equal(observer.saves[-1][0], copy_state(net))


@pytest.mark.parametrize(("every", "saved"), [(1, [0, 1, 2, 3, 4, 5, 6]), (3, [0, 3, 6]), (1000, [0])])
def test_checkpoints_are_written_at_the_start_and_every_few_steps(every: int, saved: list[int]) -> None:
    net = mlp()
    observer = RecordingObserver(net)
    train(net, vector_task(), replace(TRAINER, checkpoint_every=every), steps=7, observer=observer)
    assert [state.step for _, state in observer.saves] == saved
