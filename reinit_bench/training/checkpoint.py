"""Checkpoints on disk: verified by a hash, the previous one kept, so that a kill at any moment loses little time.

They are written in the background: training continues while a copy of its state is written.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reinit_bench.store.files import Fence, StoreError, write_atomically
from reinit_bench.store.store import CHECKPOINTS

INCOMING, NAME, PREVIOUS = CHECKPOINTS
_MAGIC = b"reinit-bench checkpoint 1\n"
_DIGEST_BYTES = 32


class CorruptCheckpoint(ValueError):
    """A checkpoint whose content does not match its hash."""


def save_checkpoint(folder: Path, state: dict[str, Any], fence: Fence = nullcontext) -> None:
    """Write `state` (tensors and plain values) as the newest checkpoint, and keep the one before.

    The incoming file is complete before it gets its final name. A kill before or between the two renames leaves it as
    the newest checkpoint, which `latest_checkpoint` therefore reads too.

    Raises:
        StoreError: the file system refuses; the existing checkpoints remain.
    """
    incoming = folder / INCOMING
    write_checkpoint(incoming, state, fence)
    try:
        newest = folder / NAME
        with fence():
            if newest.exists():
                newest.replace(folder / PREVIOUS)
            incoming.replace(newest)
    except OSError as error:
        raise StoreError(f"cannot write {folder / NAME}: {error.strerror or error}") from error


def write_checkpoint(path: Path, state: dict[str, Any], fence: Fence = nullcontext) -> None:
    """Write one checkpoint file in one step, with the hash that `read_checkpoint` checks.

    Raises:
        StoreError: the file system refuses.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getbuffer()
    digest = hashlib.sha256(payload).digest()

    def write(stream: Any) -> None:
        for part in (_MAGIC, digest, payload):
            stream.write(part)

    write_atomically(path, write, fence)


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Read one checkpoint file, its tensors on `device`.

    Raises:
        CorruptCheckpoint: the file is truncated, altered, or not a checkpoint of tensors and plain values.
        FileNotFoundError: there is none.
    """
    content = path.read_bytes()
    start = len(_MAGIC) + _DIGEST_BYTES
    if not content.startswith(_MAGIC) or len(content) < start:
        raise CorruptCheckpoint(f"{path} is not a checkpoint")
    payload = memoryview(content)[start:]
    if hashlib.sha256(payload).digest() != content[len(_MAGIC) : start]:
        raise CorruptCheckpoint(f"{path} is truncated or altered: its checksum does not match")
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(payload), map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise CorruptCheckpoint(f"{path} is not a checkpoint: it holds more than tensors and plain values") from error
    return state


def latest_checkpoint(folder: Path, device: torch.device, run_id: str) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest intact checkpoint of this run, None if there is none; and one message for each that is left out.

    One that was written before checkpoints named their run is taken for this run's.
    """
    torn: list[str] = []
    state = None
    for name in (INCOMING, NAME, PREVIOUS):
        try:
            found = read_checkpoint(folder / name, device)
            if found.get("run_id", run_id) == run_id:
                state = found
                break
            torn.append(f"{folder / name} belongs to another run ({found['run_id']})")
        except FileNotFoundError:
            continue
        except CorruptCheckpoint as error:
            torn.append(str(error))
        except OSError as error:
            torn.append(f"{folder / name} cannot be read: {error.strerror or error}")
    remedy = "starting from scratch" if state is None else "using the previous one"
    return state, [f"{problem}; {remedy}" for problem in torn]


class BackgroundWriter:
    """Runs jobs in a thread, one at a time, in the order in which they are submitted.

    Jobs get copies (`snapshot`), never objects that the training keeps changing. A job's error is raised by the next
    call of `submit` or `wait`, in the thread that calls.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Start `job` once the previous one has ended.

        Raises:
            StoreError: whatever the previous job raised.
        """
        self.wait()
        # Not a daemon: a process that exits without waiting still finishes writing.
        self._thread = threading.Thread(target=self._run, args=(job,), name="background-writer")
        self._thread.start()

    def wait(self) -> None:
        """Return when nothing is being written.

        Raises:
            StoreError: whatever the last job raised.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # raised later, where the caller can act on it
            self._error = error


def snapshot(value: Any) -> Any:
    """A copy of nested dicts, lists, tuples and tensors; other values are taken to be constant.

    Tensors are copied on their own device: on a GPU this waits for nothing, and the writer brings them to the host.
    """
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: snapshot(item) for key, item in value.items()}
    return type(value)(snapshot(item) for item in value) if isinstance(value, (list, tuple)) else value
