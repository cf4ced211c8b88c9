"""Checksums: how a result carries its own, and how a file's is computed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MARK = ',\n "sha256": "'


def sealed(value: Mapping[str, Any]) -> str:
    """`value` as JSON whose last field, `sha256`, is the hash of all the text before it."""
    head = json.dumps(value, indent=1, allow_nan=False).removesuffix("\n}")
    return head + _tail(hashlib.sha256(head.encode()).hexdigest())


def is_sealed(content: bytes) -> bool:
    """Whether a file says what its hash is; results of older versions do not."""
    return content.rfind(_MARK.encode()) >= 0


def broken_seal(content: bytes) -> bool:
    """Whether a file's content is not what its hash says; false for a file that has none."""
    end = content.rfind(_MARK.encode())
    return end >= 0 and content[end:] != _tail(hashlib.sha256(content[:end]).hexdigest()).encode()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _tail(digest: str) -> str:
    return f'{_MARK}{digest}"\n}}\n'
