"""How processes are started that work for this one."""

from __future__ import annotations

import signal
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


@contextmanager
def blocked_in_new_processes(signals: Collection[signal.Signals]) -> Iterator[None]:
    """Within the block these signals wait, and a process that is started there inherits that they do."""
    resource_tracker.ensure_running()  # multiprocessing's own; starting it later would unblock the signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
