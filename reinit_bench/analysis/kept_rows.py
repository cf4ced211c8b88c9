"""What was read of a store before, so that only new and changed results are read and validated again."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from reinit_bench.core import config, settings
from reinit_bench.store import store
from reinit_bench.store.files import StoreError, write_text

FILE = ".collected.json"
"""In the results folder; it may be deleted at any time."""


class KeptRows:
    """Rows by run id, each good for as long as its `result.json` is the same file.

    A result is written once, under a name of its own, and renamed, so that another content is another inode, time or
    size. Rows that other code has read are not used.

    Args:
        results_dir: the results folder; it need not exist.
        reader: the file of the code that makes rows of results.
    """

    def __init__(self, results_dir: Path, reader: Path) -> None:
        self.file = results_dir / FILE
        self._code = _code(reader)
        self._before = self._read()
        self._now: dict[str, tuple[list[int], Mapping[str, Any]]] = {}

    def row(self, run_id: str, found: os.stat_result) -> Mapping[str, Any] | None:
        """The row of a run whose `result.json` is the file `found`; None where that was not read before."""
        stamp, row = self._before.get(run_id, (None, None))
        if row is None or stamp != _stamp(found):
            return None
        self._now[run_id] = stamp, row
        return row

    def add(self, run_id: str, found: os.stat_result, row: Mapping[str, Any]) -> None:
        """Keep what was read of the file `found`."""
        self._now[run_id] = _stamp(found), row

    def save(self) -> None:
        """Keep these rows and no others; where the folder cannot be written, the next call reads all again."""
        if self._now == self._before:
            return
        text = json.dumps({"code": self._code, "rows": self._now})
        with contextlib.suppress(StoreError):
            write_text(self.file, text)

    def _read(self) -> dict[str, tuple[list[int], Mapping[str, Any]]]:
        try:
            content = json.loads(self.file.read_bytes())
            if content["code"] != self._code:
                return {}
            return {run_id: (stamp, row) for run_id, (stamp, row) in content["rows"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}


def _stamp(found: os.stat_result) -> list[int]:
    return [found.st_ino, found.st_mtime_ns, found.st_size]


@cache
def _code(reader: Path) -> str:
    """A hash of the code that says what a row is."""
    digest = hashlib.sha256()
    for path in (reader, *(Path(inspect.getfile(module)) for module in (config, settings, store))):
        digest.update(path.read_bytes())
    return digest.hexdigest()
