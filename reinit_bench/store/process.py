"""Which process is which: names that hold between containers and reboots, and whether a named process lives."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = "/proc/self/ns/pid"


def this_process() -> dict[str, Any]:
    """What tells this process from every other: its number, where that number counts, and when it began.

    `boot_id` and `pid_namespace` say in which table of processes to look the number up; two containers of one machine
    have two tables, whatever their host names are. `began` is in clock ticks since the boot, which no step of the clock
    changes.
    """
    return {"host": socket.gethostname(), "pid": os.getpid(), **_process_table(), "began": _began(os.getpid())}


def lives(holder: Mapping[str, Any]) -> bool | None:
    """Whether the process named by `this_process` still lives; None if that cannot be seen from here."""
    table = _process_table()
    if any(holder.get(key) != value or value is None for key, value in table.items()):
        return None
    try:
        began = _began(int(holder["pid"]))
    except (KeyError, TypeError, ValueError):
        return None
    return began is not None and began == holder.get("began")


def _process_table() -> dict[str, Any]:
    """The table of processes that this one sees; where the system has no names for it, the host's."""
    try:
        return {"boot_id": _BOOT_ID.read_text().strip(), "pid_namespace": os.readlink(_PID_NAMESPACE)}
    except OSError:
        return {"boot_id": f"host {socket.gethostname()}", "pid_namespace": f"boot {psutil.boot_time():.0f}"}


def _began(pid: int) -> int | None:
    """When a living process began; None if there is none of this number, or only a zombie."""
    try:
        # The command's name, in parentheses, may hold anything; the fields after it are numbered from 3.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return None if fields[0] in "ZXx" else int(fields[19])
    except (OSError, IndexError, ValueError):
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else round(process.create_time())
    except psutil.Error:
        return None
