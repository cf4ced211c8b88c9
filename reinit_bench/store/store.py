"""The run store: one folder per run under `results/runs/`, readable at any moment, whatever dies.

Every file is written under a temporary name in the same folder, synced and renamed, so no reader ever sees half a file.
**Done means a `result.json` that validates**; nothing else does.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

import yaml

from reinit_bench.core.config import Experiment
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.checks import (
    BELONGING,
    CONFIG,
    DIAGNOSTICS,
    HISTORY,
    MOST_TEXT,
    RESULT,
    ROUNDS,
    parsed_arrays,
    parsed_config,
    parsed_result,
    parsed_rows,
    parsed_status,
    sealed,
)
from reinit_bench.store.files import (
    Fence,
    StoreError,
    file_sha256,
    make_folder,
    read_bytes,
    write_arrays,
    write_bytes,
    write_json,
    write_lines,
    write_text,
)

T = TypeVar("T")
STATUS = "status.json"
CHECKPOINTS = ("checkpoint.pt.incoming", "checkpoint.pt", "checkpoint.previous.pt")
"""Files of a running run, newest first."""


class CorruptResult(ConfigError):
    """A `result.json` that exists but does not validate."""


class Store:
    """All runs of one results folder."""

    def __init__(self, results_dir: Path) -> None:
        self.results_dir = Path(results_dir)
        self.runs_dir = self.results_dir / "runs"

    def run(self, run_id: str) -> RunFolder:
        """The folder of one run, whether it exists or not."""
        return RunFolder(self.runs_dir / run_id)

    def run_ids(self) -> list[str]:
        """Ids of all runs that have a folder, sorted."""
        try:
            with os.scandir(self.runs_dir) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
        except FileNotFoundError:
            return []
        except NotADirectoryError as error:
            raise StoreError(f"{self.results_dir} is not a folder; give results_dir a folder") from error

    def read_result(self, run_id: str) -> dict[str, Any] | None:
        """The validated result of a finished run; None if there is none yet. For errors see `RunFolder.result`."""
        return self.run(run_id).result()


class RunFolder:
    """One run on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_id = path.name
        self.fence: Fence = nullcontext
        """Around each file's renaming: the lease puts its own here."""
        self._hashes: dict[str, str] | None = None
        """Of the other files of a finished run, as its result gives them; None: not read yet."""

    def create(self) -> None:
        """Create the folder.

        Raises:
            StoreError: the results folder is a file, read-only, or full.
        """
        make_folder(self.path)

    def write_config(self, experiment: Experiment) -> None:
        """Write the resolved configuration, for readers and for `status`."""
        write_text(self.path / CONFIG, yaml.safe_dump(experiment.to_dict(), sort_keys=False), self.fence)

    def write_curve(self, rounds: Sequence[Mapping[str, Any]], history: Sequence[Mapping[str, Any]]) -> None:
        """Write a line for each finished round, and a line for each epoch."""
        write_lines(self.path / ROUNDS, rounds, self.fence)
        write_lines(self.path / HISTORY, history, self.fence)

    def write_status(self, status: Mapping[str, Any]) -> None:
        """Write how the run stands; the lease calls this, under its own lock."""
        write_json(self.path / STATUS, status)

    def write_result(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Write `result.json`, which makes the run done, with hashes of all that belongs to it; returns its content."""
        hashes = {name: file_sha256(self.path / name) for name in BELONGING if (self.path / name).is_file()}
        text = sealed({**result, "files": hashes})
        self._hashes = hashes
        write_text(self.path / RESULT, text, self.fence)
        content: dict[str, Any] = json.loads(text)
        return content

    def result(self) -> dict[str, Any] | None:
        """The validated result; None if there is none yet.

        Raises:
            CorruptResult: `result.json` exists but does not validate.
            StoreError: it cannot be read: it is another user's, or the disk's fault.
        """
        path = f"{self.path}/{RESULT}"  # for thousands of runs at once, a Path takes as long as reading the file
        try:
            content = read_bytes(path, MOST_TEXT + 1)
        except (FileNotFoundError, NotADirectoryError):
            self._hashes = {}
            return None
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror or error}; make it readable") from error
        try:
            result = parsed_result(content, self.run_id)
        except ValueError as error:
            raise CorruptResult(f"{path} is corrupt: {error}; delete it and run the experiment again") from error
        self._hashes = result.get("files") or {}
        return result

    def write_diagnostics(self, arrays: Mapping[str, Any]) -> None:
        """Write what was measured at the run's end."""
        write_arrays(self.path / DIAGNOSTICS, arrays, self.fence)

    def read(self, name: str) -> bytes | None:
        """The content of one of a run's files; None if there is none.

        Raises:
            StoreError: the run is done, and the file is not as it was then; or it cannot be read.
        """
        try:
            content = read_bytes(self.path / name)
        except (FileNotFoundError, NotADirectoryError):
            content = None
        except OSError as error:
            raise StoreError(f"{self.path / name} cannot be read: {error.strerror or error}") from error
        if self._hashes is None:
            self.result()
        hashes = self._hashes or {}
        known = hashes.get(name)
        if known is not None and (content is None or hashlib.sha256(content).hexdigest() != known):
            what = "is missing" if content is None else "has changed since the run was done"
            raise StoreError(f"{self.path / name} {what}; delete {RESULT} there to run the experiment again")
        if known is None and content is not None and hashes and name in BELONGING:
            raise StoreError(f"{self.path / name} is not this run's: its {RESULT} does not list it; delete it")
        return content

    def finished_files(self) -> dict[str, bytes] | None:
        """The content of a finished run's files by name, the result last; None if it is not done.

        Raises:
            CorruptResult: `result.json` exists but does not validate.
            StoreError: another file is missing, has changed since the run was done, or cannot be read.
        """
        result = self.result()
        if result is None:
            return None
        names = [name for name in BELONGING if name in result.get("files", BELONGING)]
        found = {name: self.read(name) for name in (*names, RESULT)}
        return {name: content for name, content in found.items() if content is not None}

    def write_finished_files(self, files: Mapping[str, bytes]) -> None:
        """Write the files of a run that was finished elsewhere, the result last; those of an earlier attempt go."""
        for name in BELONGING:
            if name in files:
                write_bytes(self.path / name, files[name], self.fence)
            else:
                with self.fence():
                    (self.path / name).unlink(missing_ok=True)
        write_bytes(self.path / RESULT, files[RESULT], self.fence)
        self.tidy()

    def diagnostics(self) -> dict[str, Any] | None:
        """What was measured at the run's end, as numpy arrays by name; None if nothing was.

        Raises:
            StoreError: `diagnostics.npz` exists but cannot be used, or has changed.
        """
        return self._parsed(DIAGNOSTICS, parsed_arrays)

    def rows(self, name: str, choose: Callable[[int], Sequence[int]] = range) -> list[dict[str, Any]]:
        """The rows of `rounds.jsonl` or `history.jsonl`; empty if there is none.

        Args:
            choose: gives the places of the rows that are wanted, out of so many; only these are parsed.

        Raises:
            StoreError: the file cannot be used, or has changed.
        """

        def parsed(content: bytes) -> list[dict[str, Any]]:
            lines = content.splitlines()
            return parsed_rows([lines[place] for place in choose(len(lines))])

        return self._parsed(name, parsed) or []

    def config(self) -> dict[str, Any] | None:
        """What `config.yaml` says; None if there is none.

        Raises:
            StoreError: it cannot be used.
        """
        return self._parsed(CONFIG, parsed_config)

    def _parsed(self, name: str, parse: Callable[[bytes], T]) -> T | None:
        content = self.read(name)
        try:
            return None if content is None else parse(content)
        except ValueError as error:
            raise StoreError(f"{self.path / name} cannot be read: {error}; delete it to do without") from error

    def status(self) -> dict[str, Any]:
        """What `status.json` says; empty if it is missing or not valid JSON.

        Raises:
            OSError: it exists but cannot be read.
        """
        try:
            return parsed_status(read_bytes(self.path / STATUS, MOST_TEXT))
        except (FileNotFoundError, NotADirectoryError):
            return {}

    def remove_leftovers(self, *more: str) -> None:
        """Remove the half-written files of killed processes, and those named; only the lease's holder may do this."""
        with self.fence():
            for name in os.listdir(self.path):
                if name in more or (name.startswith(".") and name.endswith(".tmp")):
                    (self.path / name).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what a finished run no longer needs and a process that was killed at its very end has left."""
        with suppress(OSError):  # another user's
            self.remove_leftovers(*CHECKPOINTS)
