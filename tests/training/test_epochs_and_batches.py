"""What the network sees: every example once an epoch, in the order and with the masks of the named streams."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from bits import bit_equal
from torch import Tensor, nn
from training_helpers import SEED, TRAINER, RecordingObserver, make_split, make_task, mlp, train, vector_task

from reinit_bench.core.config import Trainer
from reinit_bench.core.randomness import stream
from reinit_bench.models.blocknet import BlockNet, Dropout


class Seen(nn.Module):
    """Passes its inputs on and keeps the batches seen in training."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.batches.append(x.detach().clone())
        return x


def numbered(examples: int) -> tuple[BlockNet, Seen, Trainer]:
    """A network that notes which examples it sees: example i is the vector (i)."""
    seen = Seen()
    return BlockNet([nn.Sequential(seen, nn.Linear(1, 2))], nn.Identity()), seen, Trainer(lr=1e-4, batch_size=4)


def order(round_index: int, epoch: int, examples: int) -> list[int]:
    return torch.randperm(examples, generator=stream(SEED, "order", round_index, epoch)).tolist()


@pytest.mark.parametrize(("examples", "sizes"), [(10, [4, 4, 2]), (8, [4, 4])])
def test_every_epoch_sees_every_example_once_in_the_order_of_its_stream(examples: int, sizes: list[int]) -> None:
    net, seen, trainer = numbered(examples)
    train_split = make_split(torch.arange(examples).float()[:, None], torch.arange(examples) % 2)
    train(net, make_task(train_split, classes=2), trainer, steps=2 * len(sizes), index=3)
    assert [len(batch) for batch in seen.batches] == sizes * 2
    numbers = torch.cat(seen.batches)[:, 0].int().tolist()
    assert numbers == order(3, 1, examples) + order(3, 2, examples)
    assert sorted(numbers[:examples]) == list(range(examples))


def test_a_step_limit_inside_an_epoch_ends_the_round_there() -> None:
    examples = 10
    net, seen, trainer = numbered(examples)
    train_split = make_split(torch.arange(examples).float()[:, None], torch.arange(examples) % 2)
    observer = RecordingObserver(net)
    result, _ = train(
        net, make_task(train_split, classes=2), trainer, steps=5, index=2, total_step=100, observer=observer
    )
    numbers = torch.cat(seen.batches)[:, 0].int().tolist()
    assert numbers == order(2, 1, examples) + order(2, 2, examples)[:8]
    assert (result.steps, result.epochs, result.converged) == (5, 2, False)
    assert observer.steps == [(2, step) for step in range(1, 6)]
    told = [(event.round, event.epoch, event.step, event.total_step, len(event.losses)) for event in observer.epochs]
    assert told == [(2, 1, 3, 103, 3), (2, 2, 5, 105, 2)]


def test_the_curve_is_the_mean_loss_and_the_share_of_right_answers_of_each_batch() -> None:
    """With a learning rate near zero the network stays the same, so that its curve can be computed again."""
    net, task = mlp(), vector_task()
    observer = RecordingObserver(net)
    train(net, task, replace(TRAINER, lr=1e-12), steps=5, observer=observer)
    positions = torch.randperm(22, generator=stream(SEED, "order", 1, 1))
    inputs, labels = task.train.stored[positions], task.train.labels[positions]
    with torch.no_grad():
        logits = mlp()(inputs)
    each = nn.functional.cross_entropy(logits, labels, reduction="none")
    expected = [batch.mean().item() for batch in each.split(5)]
    assert observer.losses == pytest.approx(expected, rel=1e-5)
    assert observer.epochs[0].train_accuracy == (logits.argmax(1) == labels).sum().item() / 22


def test_dropout_masks_are_those_of_the_named_streams() -> None:
    """With inputs of one, the outputs of a dropout layer of rate 1/2 are 0 or 2."""

    def masks() -> list[list[Tensor]]:
        layers = [nn.Sequential(Dropout(0.5), Seen()), nn.Sequential(Dropout(0.5), Seen())]
        # Each layer gets ones: the output of the first is reset to 1 before the second.
        net = BlockNet([layers[0], nn.Sequential(Ones(), layers[1], nn.Linear(8, 2))], nn.Identity())
        task = make_task(make_split(torch.ones(6, 8), torch.arange(6) % 2), classes=2)
        train(net, task, Trainer(batch_size=3), steps=4, index=5)
        return [layer[1].batches for layer in layers]

    class Ones(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.ones_like(x)

    drawn = masks()
    expected = [
        [
            torch.empty(3, 8).bernoulli_(0.5, generator=stream(SEED, "dropout", 5, step, number)) / 0.5
            for step in range(4)
        ]
        for number in range(2)
    ]
    assert bit_equal(drawn, expected)
    assert bit_equal(drawn, masks())
    flat = [tuple(mask.flatten().tolist()) for layer in drawn for mask in layer]
    assert len(set(flat)) == 8
