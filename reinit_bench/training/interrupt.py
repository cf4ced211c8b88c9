"""Signals that ask a run to stop: it writes a checkpoint at the next step and exits with a code of its own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_INTERRUPTED = 75
"""Exit code of an interrupted run (EX_TEMPFAIL): a checkpoint is written, and the same command resumes from it."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2, signal.SIGHUP)
"""SIGHUP comes when a terminal is closed; `nohup` has it ignored, which stays so."""


class Interrupted(Exception):
    """The run was asked to stop and has written its checkpoint."""


class Interrupt:
    """Whether this process has been asked to stop; `request` may come from a signal or from another thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.reason = ""

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def request(self, reason: str) -> None:
        """Ask the process to stop, for the given reason."""
        self.reason = reason
        self._event.set()


@contextmanager
def handling_signals(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let `handle` receive the signals that stop a run; not SIGHUP if this process ignores it (`nohup`)."""
    is_deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    wanted = [number for number in SIGNALS if number != signal.SIGHUP or not is_deaf]
    before = {number: signal.signal(number, handle) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interrupt_on_signals() -> Iterator[Interrupt]:
    """The first of `SIGNALS` requests an interrupt; a second SIGINT stops at once. Main thread only."""
    interrupt = Interrupt()

    def handle(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and interrupt.requested:
            raise KeyboardInterrupt
        interrupt.request(signal.Signals(number).name)

    with handling_signals(handle):
        yield interrupt
