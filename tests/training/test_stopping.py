"""Stopping epoch by epoch: plateau, patience and the best weights; and signals that stop a run."""

from __future__ import annotations

import json
import math
import os
import signal
from typing import Any

import pytest

from reinit_bench.training.interrupt import SIGNALS, interrupt_on_signals
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


def handlers() -> list[Any]:
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2, signal.SIGHUP])
def test_a_signal_asks_to_stop_and_says_which(number: signal.Signals) -> None:
    before = handlers()
    with interrupt_on_signals() as interrupt:
        assert (interrupt.requested, interrupt.reason) == (False, "")
        os.kill(os.getpid(), number)
        assert (interrupt.requested, interrupt.reason) == (True, number.name)
    assert handlers() == before


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2])
def test_sigint_after_a_request_stops_at_once(first: signal.Signals) -> None:
    before = handlers()
    with interrupt_on_signals():
        os.kill(os.getpid(), first)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert handlers() == before


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` leaves it
    try:
        with interrupt_on_signals() as interrupt:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interrupt.requested
    finally:
        signal.signal(signal.SIGHUP, before)
