"""All runs of a store, each read once and checked; what cannot be used is named and left out, and stops nothing."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from reinit_bench.core.config import Experiment
from reinit_bench.core.errors import plain
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.checks import CONFIG, RESULT, experiment_of
from reinit_bench.store.files import StoreError
from reinit_bench.store.store import CorruptResult, RunFolder, Store


@dataclass(frozen=True)
class StoredRun:
    """A run as it stands on disk.

    Attributes:
        experiment: its own; its id is the folder's name.
        result: what `result.json` says; None if the run is not done.
        status: what `status.json` says of a run that is not done.
    """

    run_id: str
    experiment: Experiment
    result: Mapping[str, Any] | None
    status: Mapping[str, Any]


@dataclass(frozen=True)
class Reading:
    """What a store holds.

    Attributes:
        runs: those that can be used, by id.
        unfinished: how many folders have no result, or none that can be used.
        left_out: a line for each run that cannot be used: its file, what is wrong, what to do.
    """

    runs: tuple[StoredRun, ...]
    unfinished: int
    left_out: tuple[str, ...]

    @property
    def done(self) -> list[StoredRun]:
        """The finished runs."""
        return [run for run in self.runs if run.result is not None]


def read(store: Store, *, only_done: bool = False, but: Container[str] = ()) -> Reading:
    """Read a store.

    Args:
        only_done: pass over runs without a result; their files are not opened.
        but: ids to pass over.

    Raises:
        StoreError: the results folder is a file.
    """
    runs: list[StoredRun] = []
    left_out: list[str] = []
    unfinished = 0
    for run_id in store.run_ids():
        if run_id in but:
            continue
        try:
            run = read_one(store.run(run_id), only_done=only_done)
        except (ConfigError, OSError) as error:
            left_out.append(plain(str(error)))
            continue
        unfinished += run is None or run.result is None
        runs += [run] if run is not None else []
    return Reading(tuple(runs), unfinished, tuple(left_out))


def read_one(folder: RunFolder, *, only_done: bool = False) -> StoredRun | None:
    """A run; None if it is still being created, or is no run.

    Raises:
        CorruptResult, StoreError: it cannot be used.
    """
    result, status = (folder.result(), {}) if only_done else result_and_status(folder)
    if result is None and only_done:
        return None
    config = folder.config() if result is None else result["config"]
    if config is None and status.get("state") == "failed":
        raise StoreError(str(status.get("error")))
    if config is None:
        return None
    try:
        return StoredRun(folder.run_id, experiment_of(config, folder.run_id), result, status)
    except ValueError as error:
        path = folder.path / (CONFIG if result is None else RESULT)
        raise StoreError(f"{path} cannot be used: {error}; delete it and run the experiment again") from error


def result_and_status(folder: RunFolder) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """A run's result, and if it has none what `status.json` says.

    A result that cannot be used is none, and the run has failed: a worker sets it aside and runs it again.
    """
    try:
        result = folder.result()
        status = {} if result is not None else _status(folder)
        if status.get("state") == "done":
            result = folder.result()  # it ended between the two reads
    except (CorruptResult, StoreError) as error:
        problem = {"state": "failed", "error": plain(str(error)), "error_kind": type(error).__name__}
        return None, {**_status(folder), **problem}
    return result, ({} if result is not None else status)


def _status(folder: RunFolder) -> dict[str, Any]:
    try:
        return folder.status()
    except OSError as error:
        return {"state": "failed", "error": f"status.json cannot be read: {error.strerror}", "error_kind": "OSError"}
