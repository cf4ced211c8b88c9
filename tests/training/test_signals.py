"""Real signals: the first asks to stop, a second SIGINT stops at once, and the handlers are put back."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from training_helpers import RecordingObserver, mlp, train, vector_task

from reinit_bench.training.interrupt import SIGNALS, Interrupted, interrupt_on_signals


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


def test_other_signals_may_be_repeated() -> None:
    with interrupt_on_signals() as interrupt:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM, signal.SIGUSR2):
            os.kill(os.getpid(), number)
        assert interrupt.reason == "SIGUSR2"


def test_handlers_are_put_back_after_an_error() -> None:
    def fail_inside() -> None:
        with interrupt_on_signals():
            assert handlers() != before
            raise ZeroDivisionError

    before = handlers()
    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert handlers() == before


def test_a_signal_in_the_middle_of_a_round_stops_it_with_a_checkpoint() -> None:
    class Shoot(RecordingObserver):
        def step_done(self, round_index: int, step: int) -> None:
            super().step_done(round_index, step)
            if step == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    net = mlp()
    observer = Shoot(net)
    with interrupt_on_signals() as observer.interrupt, pytest.raises(Interrupted, match="SIGTERM"):
        train(net, vector_task(), steps=50, observer=observer)
    assert [state.step for _, state in observer.saves] == [0, 2]


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` leaves it
    try:
        with interrupt_on_signals() as interrupt:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interrupt.requested
    finally:
        signal.signal(signal.SIGHUP, before)
