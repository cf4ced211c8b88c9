"""Figures drawn in several processes at once: matplotlib uses one core."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from matplotlib.figure import Figure

from reinit_bench.analysis.figures import KnownFigure
from reinit_bench.analysis.runs.collect import Collection
from reinit_bench.core.machine import cores
from reinit_bench.core.processes import sending_process
from reinit_bench.core.settings import ConfigError

Made = TypeVar("Made")


def drawn(
    figures: Mapping[str, KnownFigure], collection: Collection, make: Callable[[str, Figure], Made]
) -> Iterator[tuple[str, Made | ConfigError]]:
    """What `make` makes of each figure and its name, in their order, or why the figure cannot be drawn.

    Args:
        make: is called in another process, so that what it returns must pickle.

    Raises:
        ConfigError: a process ended before its figures were drawn.
    """

    def made(name: str) -> Made | ConfigError:
        try:
            return make(name, figures[name].draw(collection))
        except ConfigError as error:  # nothing to draw, or a file that cannot be read: the others can still be drawn
            return error

    processes = min(cores(), len(figures))
    # Elsewhere a process cannot begin as a copy of this one, and to load the libraries again takes what drawing takes.
    if processes < 2 or sys.platform != "linux":
        for name in figures:
            yield name, made(name)
        return
    names = list(figures)
    answers: dict[str, tuple[Any, list[str]]] = {}
    with ExitStack() as stack:
        working: list[Connection] = []
        for number in range(processes):
            sending = sending_process(get_context("fork"), _send, made, names[number::processes], others=working)
            working.append(stack.enter_context(sending)[0])
        for name in names:
            while name not in answers:
                for ready in wait(working):
                    assert isinstance(ready, Connection)
                    answer = _received(ready)
                    if answer is None:
                        working.remove(ready)
                    else:
                        answers[answer[0]] = answer[1:]
            found, warned = answers.pop(name)
            for message in warned:
                warnings.warn(message, stacklevel=2)
            yield name, found


def _send(connection: Connection, made: Callable[[str], object], names: Sequence[str]) -> None:
    """The body of such a process: sends each figure with its warnings, for the first one to give, and at last None."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())  # in silence, but no file is left half-written
    for name in names:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = made(name)
        connection.send((name, found, [str(one.message) for one in caught]))
    connection.send(None)


def _received(connection: Connection) -> tuple[str, Any, list[str]] | None:
    try:
        return connection.recv()
    except EOFError:
        raise ConfigError(
            "a process that draws figures has ended (out of memory, or killed by hand); type the command again"
        ) from None
