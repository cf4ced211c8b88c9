"""Which process holds a run, and whether it lives: proven, or left open."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

_TABLE = ("boot_id", "pid_namespace", "time_namespace")
"""What must be equal for a process number and its beginning to mean the same: the boot and two namespaces."""

_MOST_PIDS = 2**22

State = Literal["alive", "dead", "unknown"]
"""Dead is said only of what is proven."""


def this_process() -> dict[str, Any]:
    """What tells this process from every other: its number, where that number counts, and when it began.

    Two containers of one machine have two tables of processes, whatever their host names are. `began` is in clock ticks
    since the boot: no step of the clock changes it, but another time namespace shows another number.
    """
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, **(_table() or {}), "began": (_stat(pid) or ("", None))[1]}


def found(holder: Mapping[str, Any]) -> State:
    """Whether the process lives that `this_process` described."""
    here, pid, began = _table(), holder.get("pid"), holder.get("began")
    if here is None or any(holder.get(key) != here[key] for key in _TABLE):
        return "unknown"  # it is in another container, on another machine, or from before a reboot
    if type(pid) is not int or type(began) is not int or not 0 < pid <= _MOST_PIDS:
        return "unknown"  # the status names no process
    if _is_gone(pid):
        return "dead"
    stat = _stat(pid)
    if stat is None:
        return "unknown"  # it is hidden from this user
    return "alive" if stat[0] not in "ZXx" and stat[1] == began else "dead"


def tag() -> str:
    """What tells in the name of a temporary file which process made it."""
    table = repr(_table() or socket.gethostname())
    return f"{hashlib.sha256(table.encode()).hexdigest()[:8]}-{os.getpid()}"


def has_ended(name: str) -> bool:
    """Whether the process whose tag a name holds is known to have ended."""
    match = re.search(r"([0-9a-f]{8})-([1-9]\d{0,6})-", name)
    return match is not None and match[1] == tag().partition("-")[0] and _is_gone(int(match[2]))


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # asks the kernel, whatever /proc hides from this user (hidepid)
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
