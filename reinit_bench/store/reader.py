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
        folder = store.run(run_id)
        try:
            run = read_one(folder, only_done=only_done)
            unfinished += run is None or run.result is None
            runs += [run] if run is not None else []
        except CorruptResult as error:
            begun = None if only_done else _corrupt(folder, error)
            runs += [begun] if begun is not None else []
            left_out += [str(error)] if begun is None else []
        except (ConfigError, OSError) as error:
            left_out.append(str(error))
    return Reading(tuple(runs), unfinished, tuple(map(plain, left_out)))


def read_one(folder: RunFolder, *, only_done: bool = False) -> StoredRun | None:
    """A run; None if it is still being created, or is no run.

    Raises:
        CorruptResult, StoreError: it cannot be used.
    """
    result = folder.result()
    if result is not None:
        return StoredRun(folder.run_id, _checked(result["config"], folder, RESULT), result, {})
    return None if only_done else _unfinished(folder)


def _unfinished(folder: RunFolder) -> StoredRun | None:
    config = folder.config()
    if config is None:
        return None
    return StoredRun(folder.run_id, _checked(config, folder, CONFIG), None, status_of(folder))


def _corrupt(folder: RunFolder, error: CorruptResult) -> StoredRun | None:
    """A run whose result cannot be used: not done, and not silently missing either; a worker runs it again."""
    try:
        found = _unfinished(folder)
    except (ConfigError, OSError):
        return None
    problem = {"state": "failed", "error": plain(str(error)), "error_kind": type(error).__name__}
    return found and StoredRun(found.run_id, found.experiment, None, {**found.status, **problem})


def status_of(folder: RunFolder) -> dict[str, Any]:
    """What `status.json` says; of one that cannot be read, that."""
    try:
        return folder.status()
    except OSError as error:
        return {"state": "failed", "error": f"status.json cannot be read: {error.strerror}", "error_kind": "OSError"}


def _checked(config: Mapping[str, Any], folder: RunFolder, name: str) -> Experiment:
    try:
        return experiment_of(config, folder.run_id)
    except ValueError as error:
        why = f"cannot be used: {error}; delete it and run the experiment again"
        raise StoreError(f"{folder.path / name} {why}") from error
