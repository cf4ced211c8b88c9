"""Reads the files that Weights & Biases writes offline, to find how far a run was logged before it was cut.

The file is a LevelDB log: a header, then blocks of 32 KiB with records; a record that crosses blocks is split into
fragments, each with a checksum, a length and its place in the record. `wandb` writes in the background: a killed run's
file may end anywhere.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

HEADER_BYTES = 7
BLOCK_BYTES = 32768
FRAGMENT = struct.Struct("<IHB")
"""Checksum of the kind and the content, length of the content, kind."""
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def recover(folder: Path, run_id: str) -> int:
    """Repair the files that earlier attempts at this run left in `folder` (W&B's `wandb` folder).

    `wandb sync` stops at a file that ends within a record, and at one without records. Hence a truncated record is cut
    off, and a file with nothing in it is removed.

    Returns:
        The first step that none of the files has; 0 if there are no files.
    """
    following = 0
    # The names contain the starting time, so this is the order in which they were written.
    for path in sorted(folder.glob(f"offline-run-*-{run_id}*/run-{run_id}.wandb")):
        resumed, after = _mend(path)
        # An attempt that started over replaced what came before it.
        following = max(following, after) if resumed else after
    return following


def records(path: Path) -> Iterator[tuple[bytes, int]]:
    """Each record of the file with the offset at which it ends, up to the first that is damaged."""
    content = path.read_bytes()
    at, parts = HEADER_BYTES, b""
    while True:
        left_in_block = BLOCK_BYTES - at % BLOCK_BYTES
        if left_in_block < FRAGMENT.size:
            at += left_in_block
        if at + FRAGMENT.size > len(content):
            return
        checksum, length, kind = FRAGMENT.unpack_from(content, at)
        at += FRAGMENT.size
        data = content[at : at + length]
        if kind not in (WHOLE, FIRST, MIDDLE, LAST) or zlib.crc32(data, zlib.crc32(bytes([kind]))) != checksum:
            return
        at += length
        parts = data if kind in (WHOLE, FIRST) else parts + data
        if kind in (WHOLE, LAST):
            yield parts, at


def _mend(path: Path) -> tuple[bool, int]:
    """Repair a file; returns whether it continues an earlier one, and the step after its last; (True, 0) if empty."""
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]  # made at run time

    resumed, after, whole = None, 0, 0
    for payload, end in records(path):
        whole = end
        record = Record.FromString(payload)
        if resumed is None and record.HasField("run"):
            resumed = record.run.resume
        if record.HasField("history"):
            after = max(after, record.history.step.num + 1)
    if resumed is None:
        path.unlink()
    elif whole < path.stat().st_size:
        os.truncate(path, whole)
    return resumed is not False, after
