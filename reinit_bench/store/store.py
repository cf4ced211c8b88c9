"""The run store: one folder per run under `results/runs/`, readable at any moment, whatever dies.

Every file is written under a temporary name in the same folder, synced and renamed, so no reader ever sees half a file.
**Done means a `result.json` that validates**; nothing else does.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import time
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from reinit_bench.core.config import Experiment
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.files import StoreError, write_arrays, write_text

RESULT_KEYS = (
    "run_id",
    "config",
    "test_accuracy",
    "validation_accuracy",
    "train_accuracy",
    "rounds",
    "steps",
    "wall_seconds",
    "versions",
    "git_commit",
    "device",
)


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
        """The validated result of a finished run; None if there is none yet.

        Raises:
            CorruptResult: result.json exists but does not validate.
        """
        return self.run(run_id).result()


class RunFolder:
    """One run on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_id = path.name

    def create(self) -> None:
        """Create the folder.

        Raises:
            StoreError: the results folder is a file, read-only, or full.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise StoreError(f"{self.path.parent.parent} is not a folder; give results_dir a folder") from error
        except OSError as error:
            raise StoreError(f"cannot create {self.path}: {error.strerror or error}; change results_dir") from error

    def write_config(self, experiment: Experiment) -> None:
        """Write the resolved configuration, for readers and for `status`."""
        write_text(self.path / "config.yaml", yaml.safe_dump(experiment.to_dict(), sort_keys=False))

    def result(self) -> dict[str, Any] | None:
        """Like `Store.read_result`."""
        path = f"{self.path}/result.json"  # for thousands of runs at once, a Path takes as long as reading the file
        try:
            with open(path, "rb") as stream:
                content = stream.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return validated_result(content, self.run_id, path)

    def write_diagnostics(self, arrays: Mapping[str, Any]) -> None:
        """Write what was measured at the run's end."""
        write_arrays(self.path / "diagnostics.npz", arrays)

    def diagnostics(self) -> dict[str, Any] | None:
        """What was measured at the run's end, as numpy arrays by name; None if nothing was.

        Raises:
            StoreError: `diagnostics.npz` exists but cannot be read.
        """
        import numpy as np

        path = self.path / "diagnostics.npz"
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                return dict(file)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise StoreError(f"{path} cannot be read: {error}; delete it to do without") from error

    def status(self) -> dict[str, Any]:
        """The content of `status.json`; empty if it is missing or not valid JSON."""
        try:
            status = json.loads((self.path / "status.json").read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}
        return status if isinstance(status, dict) else {}

    def remove_leftovers(self) -> None:
        """Remove the half-written files of killed processes; only the lease's holder may do this."""
        for path in self.path.glob(".*.tmp"):
            path.unlink(missing_ok=True)

    def finished_result(self) -> dict[str, Any] | None:
        """Like `result`, but a file that does not validate is set aside with a warning, and the run is not done."""
        try:
            return self.result()
        except CorruptResult as error:
            aside = self.path / f"result.corrupt-{int(time.time())}.json"
            (self.path / "result.json").rename(aside)
            warnings.warn(f"{error}; kept as {aside.name}, running again", stacklevel=2)
            return None


def validated_result(content: bytes, run_id: str, path: object) -> dict[str, Any]:
    """Parse and check the content of a run's result.json; `path` is used in messages.

    Raises:
        CorruptResult: it does not validate; the message names the file, what is wrong and what to do.
    """

    def corrupt(why: str) -> CorruptResult:
        return CorruptResult(f"{path} is corrupt: {why}; delete it and run the experiment again")

    try:
        result = json.loads(content)
    except ValueError as error:
        raise corrupt(f"not JSON ({error})") from error
    if not isinstance(result, dict):
        raise corrupt("not an object")
    missing = [key for key in RESULT_KEYS if key not in result]
    if missing:
        raise corrupt(f"no {missing[0]!r}")
    if result["run_id"] != run_id:
        raise corrupt(f"it belongs to run {result['run_id']}")
    for key in ("test_accuracy", "train_accuracy", "validation_accuracy"):
        value = result[key]
        if value is None and key == "validation_accuracy":
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
            raise corrupt(f"{key} is {value!r}, not a fraction")
    if not isinstance(result["config"], dict):
        raise corrupt("config is not an object")
    return result


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Garbage collection off, for reading thousands of small dicts: it takes a tenth of the time and finds nothing."""
    before = gc.isenabled()
    gc.disable()
    atexit.register(gc.freeze)  # nor is there a collection when the process ends
    try:
        yield
    finally:
        if before:
            gc.enable()
