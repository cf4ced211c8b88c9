"""Stopping: plateau, patience and the best weights, epoch by epoch."""

from __future__ import annotations

import json
import math

from reinit_bench.training.stopping import Decision, Stopping


def watch(stopping: Stopping, *epochs: tuple[float, float]) -> list[Decision]:
    return [stopping.update(accuracy, loss) for accuracy, loss in epochs]


def epochs_with(verdicts: list[Decision], field: str) -> list[int]:
    """The epochs, from 1, whose verdict says `field`."""
    return [epoch for epoch, verdict in enumerate(verdicts, start=1) if getattr(verdict, field)]


def test_the_paper_halves_three_times_before_a_round_has_converged() -> None:
    verdicts = watch(Stopping(20, 60), *[(0.5, 1.0)] * 61)
    assert epochs_with(verdicts, "halve") == [21, 41, 61]
    assert epochs_with(verdicts, "converged") == [61]
    assert epochs_with(verdicts, "best") == [1]


def test_an_improvement_restarts_both_counts() -> None:
    # Epoch 31 improves, ten epochs after the halving at 21.
    verdicts = watch(Stopping(20, 60), *[(0.5, 1.0)] * 30, *[(0.6, 1.0)] * 61)
    assert epochs_with(verdicts, "halve") == [21, 51, 71, 91]
    assert epochs_with(verdicts, "converged") == [91]
    assert epochs_with(verdicts, "best") == [1, 31]


def test_a_patience_shorter_than_the_plateau_ends_without_halving() -> None:
    verdicts = watch(Stopping(5, 3), *[(0.5, 1.0)] * 4)
    assert epochs_with(verdicts, "halve") == []
    assert epochs_with(verdicts, "converged") == [4]


def test_without_a_patience_no_round_converges() -> None:
    verdicts = watch(Stopping(20, None), *[(0.5, 1.0)] * 200)
    assert epochs_with(verdicts, "converged") == []
    assert epochs_with(verdicts, "halve") == list(range(21, 201, 20))


def test_of_equal_accuracies_the_lower_loss_is_best() -> None:
    stopping = Stopping(20, 60)
    verdicts = watch(stopping, (0.5, 1.0), (0.5, 1.0), (0.5, 0.9), (0.4, 0.1), (0.5, 0.95), (0.6, 3.0), (0.6, 2.0))
    assert epochs_with(verdicts, "best") == [1, 3, 6, 7]
    assert (stopping.best_accuracy, stopping.best_loss) == (0.6, 2.0)


def test_a_falling_loss_alone_is_no_improvement() -> None:
    creeping = [(0.9, 1.0 / epoch) for epoch in range(1, 62)]
    verdicts = watch(Stopping(20, 60), *creeping)
    assert epochs_with(verdicts, "best") == list(range(1, 62))
    assert epochs_with(verdicts, "halve") == [21, 41, 61]
    assert epochs_with(verdicts, "converged") == [61]


def test_even_an_accuracy_of_zero_can_be_the_best() -> None:
    assert Stopping(20, 60).update(0.0, 1e30) == Decision(best=True, halve=False, converged=False)


def test_stopping_can_be_restored_at_any_epoch() -> None:
    epochs = [(0.5, 1.0), (0.5, 0.9), (0.4, 0.9), (0.6, 0.8), (0.6, 0.8), (0.6, 0.7), (0.5, 0.1), (0.6, 0.9)]
    uncut = watch(Stopping(2, 4), *epochs)
    for cut in range(len(epochs) + 1):
        first = Stopping(2, 4)
        before = watch(first, *epochs[:cut])
        # A checkpoint of a round that has not been validated holds an infinite loss.
        values = json.loads(json.dumps(first.to_dict()))
        assert before + watch(Stopping(**values), *epochs[cut:]) == uncut
    assert Stopping(2, 4).to_dict()["best_loss"] == math.inf
