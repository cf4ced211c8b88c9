"""Work in a process of its own that is killed before a given change it makes to the disk; for programs of the tests."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.utime"}
"""The audit events that stand before a change; of `open` only those for writing."""


def live(work: Callable[[], object], results: Path, kill_before: int) -> tuple[int, str]:
    """One life; how it ended (0: the work was done), and before which change in `results` it was killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        with os.fdopen(reader) as pipe:
            said = pipe.read()
        return os.waitpid(child, 0)[1], said
    os.close(reader)
    count = 0

    def watch(event: str, details: tuple[Any, ...]) -> None:
        nonlocal count
        if event not in CHANGES or not any(str(detail).startswith(str(results)) for detail in details[:2]):
            return
        if event == "open" and not details[2] & (os.O_WRONLY | os.O_RDWR):
            return
        count += 1
        if count == kill_before:
            name = Path(str(details[0])).relative_to(results.parent)
            os.write(writer, f"{event} {name}".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    work()
    os._exit(0)
