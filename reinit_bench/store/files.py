"""How files are written: whole or not at all, whatever dies; every file of a results folder is written here."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reinit_bench.core.settings import ConfigError


class StoreError(ConfigError):
    """The store cannot be written: the disk is full, the folder is read-only, or is no folder."""


def make_folder(path: Path) -> None:
    """Make a folder and those above it; it may be there already.

    Raises:
        StoreError: the file system refuses, or `path` is a file.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {path}: {error.strerror or error}; change results_dir") from error


def write_atomically(path: Path, write: Callable[[Any], None]) -> None:
    """Let `write` fill a temporary file beside `path`, sync it, and give it the name `path`.

    Raises:
        StoreError: the file system refuses; nothing remains under a final name and the temporary file is removed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        try:
            with temporary.open("wb") as stream:
                write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}; free space or change results_dir") from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step."""
    write_atomically(path, lambda stream: stream.write(content))


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` in one step."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` as JSON in one step."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write `rows` to `path` as JSON lines in one step."""
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write named arrays to `path` as npz in one step."""
    import numpy as np  # only here and where they are read: `status` and `plan` answer without it

    write_atomically(path, lambda stream: np.savez_compressed(stream, **arrays))
