"""Writes files whole or not at all, even if the process is killed; every file of a results folder is written here."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

from reinit_bench.core.settings import ConfigError
from reinit_bench.store.process import has_ended, tag


class StoreError(ConfigError):
    """The store cannot be written: the disk is full, or the folder is read-only or not a folder."""


def make_folder(path: Path) -> None:
    """Create a folder and those above it; it may exist already.

    Raises:
        StoreError: the file system refuses, or `path` is a file.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot create {path}: {error.strerror or error}; change results_dir") from error


Fence = Callable[[], AbstractContextManager[None]]
"""Gives a block within which a file may get its final name; it raises if the writer has lost the right to write."""


def write_atomically(path: Path, write: Callable[[Any], None], fence: Fence = nullcontext) -> None:
    """Let `write` fill a temporary file next to `path`, sync it, and within the fence rename it to `path`.

    Raises:
        StoreError: the file system refuses; `path` is left as it was and the temporary file is removed.
    """
    temporary = path.with_name(f".{path.name}.{tag()}-{secrets.token_hex(4)}.tmp")
    try:
        try:
            with temporary.open("wb") as stream:
                write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            with fence():
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}; free space or change results_dir") from error


def write_bytes(path: Path, content: bytes, fence: Fence = nullcontext) -> None:
    """Write `content` to `path` in one step."""
    write_atomically(path, lambda stream: stream.write(content), fence)


def write_text(path: Path, text: str, fence: Fence = nullcontext) -> None:
    """Write `text` to `path` in one step."""
    write_bytes(path, text.encode(), fence)


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` as JSON in one step."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]], fence: Fence = nullcontext) -> None:
    """Write `rows` to `path` as JSON lines in one step."""
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows), fence)


def write_arrays(path: Path, arrays: Mapping[str, Any], fence: Fence = nullcontext) -> None:
    """Write named arrays to `path` as npz in one step."""
    import numpy as np  # only here and where arrays are read: `status` and `plan` do without it

    write_atomically(path, lambda stream: np.savez_compressed(stream, **arrays), fence)


def read_bytes(path: Path | str, most: int = -1) -> bytes:
    """The content of a file, at most so many bytes; a pipe in its place is empty: nobody waits for its writer."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
        return stream.read(most)


def remove_left(folder: Path, pattern: str) -> None:
    """Remove the temporary files and folders of processes that were killed; `pattern` says which."""
    for path in folder.glob(pattern):
        if has_ended(path.name):
            with suppress(OSError):  # another user's
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
