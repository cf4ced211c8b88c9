"""A folder's lock: one process at a time, released by the kernel when its holder dies; also where there is no flock."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from reinit_bench.store.process import found, this_process

LOCK, MARK = ".lock", ".lock.held"
STANDS_STILL_SECONDS = 20.0
"""Without flock: a lock whose holder cannot be seen is taken from it after so long; it is held for milliseconds."""

_WITHOUT_FLOCK = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_POLL_SECONDS = 0.02


class StillLocked(Exception):
    """Another process has held the lock for all the time that was given."""


@contextmanager
def locked(folder: Path, seconds: float) -> Iterator[None]:
    """Within the block no other process has this folder's lock.

    Raises:
        StillLocked: another process has had it for so many seconds.
        OSError: the folder cannot be written.
    """
    deadline = time.monotonic() + seconds
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        has_flock = _flock(descriptor, deadline)
        if has_flock:
            yield
    finally:
        os.close(descriptor)  # which also unlocks
    if not has_flock:
        with _mark(folder / MARK, deadline):
            yield


def _flock(descriptor: int, deadline: float) -> bool:
    """Take the lock; false where the file system has none (Lustre without `-o flock`)."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _WITHOUT_FLOCK:
                return False
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        else:
            return True
        _wait(deadline)


@contextmanager
def _mark(path: Path, deadline: float) -> Iterator[None]:
    """A file that is there while the lock is held, and says by whom."""
    ours = {**this_process(), "token": secrets.token_hex(8)}
    seen, since = None, time.monotonic()
    while not _put(path, ours):
        holder = _read(path)
        if holder != seen:
            seen, since = holder, time.monotonic()
        still = time.monotonic() - since > STANDS_STILL_SECONDS
        if holder is not None and found(holder).state in (("dead", "unknown") if still else ("dead",)):
            _break(path, holder)
        else:
            _wait(deadline)
    try:
        yield
    finally:
        if _read(path) == ours:
            path.unlink()


def _put(path: Path, holder: dict[str, Any]) -> bool:
    """Write the mark with its content in one step; false if there is one."""
    whole = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        whole.write_text(json.dumps(holder))
        os.link(whole, path)
    except FileExistsError:
        return False
    finally:
        whole.unlink(missing_ok=True)
    return True


def _read(path: Path) -> dict[str, Any] | None:
    try:
        holder = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        holder = None
    return holder if isinstance(holder, dict) else {}


def _break(path: Path, holder: dict[str, Any]) -> None:
    """Remove a dead holder's mark, unless another process has been quicker and this is its own."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    with suppress(FileNotFoundError):
        path.rename(aside)
        if _read(aside) != holder:
            with suppress(FileExistsError):
                os.link(aside, path)
        aside.unlink()


def _wait(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise StillLocked
    time.sleep(_POLL_SECONDS)
