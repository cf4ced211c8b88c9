"""How processes are started that work for this one."""

from __future__ import annotations

import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any


@contextmanager
def blocked_in_new_processes(signals: Collection[signal.Signals]) -> Iterator[None]:
    """Within the block these signals wait, and a process that is started there inherits that they do."""
    resource_tracker.ensure_running()  # multiprocessing's own; starting it later would unblock the signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def sending_process(
    context: ForkContext | SpawnContext, body: Callable[..., None], *args: Any, others: Sequence[Connection] = ()
) -> Iterator[tuple[Connection, BaseProcess]]:
    """A process that runs `body(connection, *args)`, and where to receive what it sends; stopped when the block ends.

    Args:
        others: where this process receives from earlier ones. A forked process inherits these, and closes them.
    """
    ours, theirs = context.Pipe(duplex=False)
    inherited = [ours, *others] if context.get_start_method() == "fork" else []
    process = context.Process(target=_run, args=(theirs, body, args, inherited), daemon=True)
    try:
        with blocked_in_new_processes({signal.SIGINT}):  # Ctrl-C reaches both; only this one tells the user
            process.start()
        theirs.close()
        yield ours, process
    finally:
        if process.pid is not None:
            process.terminate()
            process.join()
        ours.close()


def _run(
    connection: Connection, body: Callable[..., None], args: Sequence[Any], inherited: Sequence[Connection]
) -> None:
    for end in inherited:
        end.close()  # only the first process reads, so that nobody sends in vain when that is killed
    with suppress(BrokenPipeError):  # it was killed
        body(connection, *args)
