"""Output that cannot be shown is no reason to lose a run: a closed pipe, a terminal that is gone, an encoding."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class LastingStream:
    """A text stream that goes silent when its reader is gone, instead of raising an error."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:  # EPIPE of a closed pipe, EIO of a terminal that has hung up
            self._go_silent()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._go_silent()

    def _go_silent(self) -> None:
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def lasting_output() -> Iterator[None]:
    """Within this block, what is printed may be read or not."""
    before = sys.stdout, sys.stderr
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # what the encoding does not have is shown as ?
    sys.stdout, sys.stderr = (
        LastingStream(stream or _nowhere(number)) for number, stream in enumerate(before, start=1)
    )
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


def _nowhere(number: int) -> TextIO:
    """A stream in place of standard output or error, closed as by `>&-`: what is printed is lost.

    Its descriptor is taken, so that no file that is opened later gets it, nor what a child process prints.
    """
    try:
        os.fstat(number)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        if nowhere != number:
            os.close(nowhere)
        os.set_inheritable(number, True)
    return open(os.devnull, "w", encoding="utf-8")
