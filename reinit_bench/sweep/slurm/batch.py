"""A batch: one submitted array on disk, with the frozen configuration of every run in it.

`results/slurm/<name>/` has `batch.json` (which runs are in which task), `tasks.jsonl` (a line per array task: the
resolved configurations of its runs), the script given to sbatch, and `logs/` with a file per task that has started.
The folder is complete before anything is submitted, and the array's job name is the folder's: whatever dies in between,
squeue can tell which runs are queued. An array has few files, however many runs are in it.
"""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from reinit_bench.core.settings import ConfigError
from reinit_bench.store.files import StoreError, write_json, write_lines
from reinit_bench.sweep.slurm.commands import PREFIX

CANCELLED = "cancelled.json"
MOST_KEPT = 1000
"""Batches, with their logs, that a results folder keeps: every look at the queue reads them all."""


def batches_dir(results_dir: Path) -> Path:
    """The folder that holds the batches of a results folder."""
    return results_dir / "slurm"


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One array.

    Attributes:
        folder: where it is stored; its last part is the array's job name.
        study: the study that it was submitted for.
        tasks: the run ids of each array task.
        job: SLURM's id of the array; None until sbatch has answered.
        workers, threads: worker processes of a task and CPU threads of each; None: chosen in the task.
        workers_per_gpu: how many workers each of the task's GPUs has, without `workers`; None: one.
        cpus: CPU cores of a task.
        max_requeues: how often a task may be requeued.
    """

    folder: Path
    study: str | None
    tasks: Sequence[Sequence[str]]
    cpus: int
    workers: int | None = None
    threads: int | None = None
    workers_per_gpu: int | None = None
    max_requeues: int = 50
    job: str | None = None

    @property
    def name(self) -> str:
        return self.folder.name

    def create(self, tasks: Sequence[Sequence[Mapping[str, Any]]]) -> None:
        """Write the folder; `tasks` are the resolved configurations of each array task.

        Raises:
            StoreError: the results folder cannot be written.
        """
        try:
            (self.folder / "logs").mkdir(parents=True)
        except OSError as error:
            raise StoreError(f"cannot create {self.folder}: {error.strerror or error}; change results_dir") from error
        write_lines(self.folder / "tasks.jsonl", [{"configs": list(configs)} for configs in tasks])
        self._write()

    def submitted(self, job: str) -> Batch:
        """Record SLURM's id of the array; returns the batch with it."""
        batch = replace(self, job=job)
        batch._write()
        return batch

    def configs(self, index: int) -> list[dict[str, Any]]:
        """The frozen configurations of one array task."""
        with (self.folder / "tasks.jsonl").open() as lines:
            for number, line in enumerate(lines):
                if number == index:
                    configs: list[dict[str, Any]] = json.loads(line)["configs"]
                    return configs
        raise ConfigError(f"{self.folder} has no task {index}")

    def log(self, job: str) -> Path:
        """The log file of a task; `job` is like 12_3."""
        return self.folder / "logs" / f"{job}.log"

    def cancelled(self) -> set[int]:
        """Indices of the tasks that a user has cancelled: they must not requeue themselves."""
        try:
            return set(json.loads((self.folder / CANCELLED).read_bytes()))
        except FileNotFoundError:
            return set()

    def call_off(self, indices: Sequence[int]) -> None:
        """Record that these tasks are cancelled."""
        write_json(self.folder / CANCELLED, sorted(self.cancelled() | set(indices)))

    def _write(self) -> None:
        values = {key: value for key, value in asdict(self).items() if key != "folder"}
        write_json(self.folder / "batch.json", {**values, "written": time.time()})


def tidy(results_dir: Path, in_use: Collection[str], most: int = MOST_KEPT) -> None:
    """Remove the oldest batches, with their logs, if there are more than `most`; not those whose names are in use."""
    folders = sorted(batches_dir(results_dir).glob(f"{PREFIX}-*"))
    for folder in folders[: max(0, len(folders) - most)]:
        if folder.name not in in_use:
            shutil.rmtree(folder, ignore_errors=True)


def new_folder(results_dir: Path) -> Path:
    """The folder of a new batch, with a name that no other batch has."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S%f")  # names in order of time
    return batches_dir(results_dir) / f"{PREFIX}-{stamp}-{secrets.token_hex(3)}"


def read_batch(folder: Path) -> Batch:
    """A batch from its folder.

    Raises:
        FileNotFoundError: there is none.
    """
    values = json.loads((folder / "batch.json").read_bytes())
    values.pop("written", None)
    return Batch(folder=folder, **values)


def batches(results_dir: Path) -> Iterator[Batch]:
    """All batches of a results folder, oldest first."""
    for folder in sorted(batches_dir(results_dir).glob(f"{PREFIX}-*")):
        try:
            yield read_batch(folder)
        except (OSError, ValueError, TypeError):
            continue  # being written, or removed by hand
