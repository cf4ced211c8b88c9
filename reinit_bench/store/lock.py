"""The one lock of this package: one process at a time, released when its holder dies, also where there is no flock."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, SoftFileLease

STANDS_STILL_SECONDS = 20.0
"""Without flock: a lock that nobody has renewed for so long, while it was watched, is a dead process's."""

_WITHOUT_FLOCK = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_POLL_SECONDS = 0.02


@contextmanager
def locked(path: Path, seconds: float) -> Iterator[None]:
    """Within the block no other process has the lock at `path`; one that has it is waited for.

    Raises:
        TimeoutError: another process has had it for so many seconds.
        OSError: the file cannot be written.
    """
    lock = FileLock(path, timeout=seconds, poll_interval=_POLL_SECONDS, fallback_to_soft=False)
    try:
        lock.acquire()
    except OSError as error:
        if error.errno not in _WITHOUT_FLOCK:
            raise
        # Lustre without `-o flock`: a file beside it, which its holder renews, and which other hosts watch.
        beside = path.with_name(f"{path.name}.held")
        lock = SoftFileLease(beside, timeout=seconds, poll_interval=_POLL_SECONDS, lease_duration=STANDS_STILL_SECONDS)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
