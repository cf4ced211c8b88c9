"""Which process holds a run, and whether it lives: proven, or left open."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

_TABLE = {
    "boot_id": "on another machine, or from before a reboot",
    "pid_namespace": "in another container",
    "time_namespace": "in another time namespace",
}
"""What must be equal for a process number and its beginning to mean the same, and what it means if one is not."""

_MOST_PIDS = 2**22


class Found(NamedTuple):
    """Whether a holder lives, and how that is known. Dead is said only of what is proven."""

    state: Literal["alive", "dead", "unknown"]
    reason: str


def this_process() -> dict[str, Any]:
    """What tells this process from every other: its number, where that number counts, and when it began.

    Two containers of one machine have two tables of processes, whatever their host names are. `began` is in clock ticks
    since the boot: no step of the clock changes it, but another time namespace shows another number.
    """
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, **(_table() or {}), "began": (_stat(pid) or ("", None))[1]}


def found(holder: Mapping[str, Any]) -> Found:
    """Whether the process lives that `this_process` described."""
    here = _table()
    if here is None:
        return Found("unknown", "this process cannot see the table of processes")
    for key, why in _TABLE.items():
        if holder.get(key) != here[key]:
            return Found("unknown", f"the holder is {why}")
    pid, began = holder.get("pid"), holder.get("began")
    if type(pid) is not int or type(began) is not int or not 0 < pid <= _MOST_PIDS:
        return Found("unknown", "the status names no process")
    try:
        os.kill(pid, 0)  # asks the kernel, whatever /proc hides from this user (hidepid)
    except ProcessLookupError:
        return Found("dead", f"there is no process {pid}")
    except PermissionError:
        pass  # it is another user's
    stat = _stat(pid)
    if stat is None:
        return Found("unknown", f"process {pid} is hidden from this user")
    if stat[0] in "ZXx":
        return Found("dead", f"process {pid} has ended")
    return Found("alive", f"process {pid}") if stat[1] == began else Found("dead", f"process {pid} is a later one")


def tag() -> str:
    """What tells in the name of a temporary file which process made it."""
    table = repr(_table() or socket.gethostname())
    return f"{hashlib.sha256(table.encode()).hexdigest()[:8]}-{os.getpid()}"


def has_ended(name: str) -> bool:
    """Whether the process whose tag a name holds is known to have ended."""
    match = re.search(r"([0-9a-f]{8})-([1-9]\d{0,6})-", name)
    if match is None or match[1] != tag().partition("-")[0]:
        return False
    try:
        os.kill(int(match[2]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it is another user's
    return False


def _table() -> dict[str, str] | None:
    """In which table of processes this one is; None where that cannot be told (another system, another's /proc)."""
    try:
        if os.readlink("/proc/self") != str(os.getpid()):
            return None
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        processes = os.readlink("/proc/self/ns/pid")
    except OSError:
        return None
    try:
        time = os.readlink("/proc/self/ns/time")
    except OSError:
        time = "one"  # before Linux 5.6 there is no other
    return {"boot_id": boot_id, "pid_namespace": processes, "time_namespace": time}


def _stat(pid: int) -> tuple[str, int] | None:
    """A process's state, and when it began; None if that cannot be seen."""
    try:
        # The command's name, in parentheses, may hold anything; the fields after it are numbered from 3.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return fields[0], int(fields[19])
    except (OSError, IndexError, ValueError):
        return None
