"""Which runs are queued: the batches on disk, matched with what squeue reports of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reinit_bench.sweep.plan import UNKNOWN
from reinit_bench.sweep.slurm import commands
from reinit_bench.sweep.slurm.batch import Batch, batches
from reinit_bench.sweep.slurm.commands import QueuedTask, SlurmError


@dataclass(frozen=True)
class Task:
    """One array task that SLURM still knows, and its place in a batch."""

    batch: Batch
    index: int
    queued: QueuedTask

    @property
    def run_ids(self) -> Sequence[str]:
        return self.batch.tasks[self.index]


def known_tasks(results_dir: Path) -> list[Task]:
    """All tasks of this results folder's batches that squeue shows, even if they have ended; one call of squeue.

    Raises:
        SlurmError: squeue fails or does not answer.
    """
    found = {batch.name: batch for batch in batches(results_dir)}
    tasks = []
    for queued in commands.squeue(sorted(found)):
        array, _, index = queued.job.partition("_")
        batch = found.get(queued.name)
        if batch is not None and index.isdigit() and int(index) < len(batch.tasks) and batch.job in (None, array):
            tasks.append(Task(batch, int(index), queued))
    return tasks


def active_tasks(results_dir: Path, *, strict: bool = True) -> list[Task]:
    """The tasks that are queued or running.

    Args:
        strict: raise an error if squeue exists but does not answer: submitting again then could run things twice.
            Otherwise warn, and count every task that was ever submitted, its job `UNKNOWN`.

    Raises:
        SlurmError: squeue does not answer, and `strict`.
    """
    if next(batches(results_dir), None) is None:
        return []
    if not commands.available():
        warnings.warn(
            f"{results_dir} was used with SLURM, but there is no squeue here: queued runs are counted as missing",
            stacklevel=2,
        )
        return []
    try:
        return [task for task in known_tasks(results_dir) if not task.queued.ended]
    except SlurmError as error:
        if strict:
            raise
        warnings.warn(f"{error}; which runs are queued is unknown", stacklevel=2)
        submitted = ((batch, index) for batch in batches(results_dir) for index in range(len(batch.tasks)))
        return [Task(batch, index, QueuedTask(UNKNOWN, batch.name, UNKNOWN)) for batch, index in submitted]


def queued_runs(results_dir: Path, *, strict: bool = True) -> dict[str, str]:
    """The job (like 12_3, or `UNKNOWN`) that will do each run or is at it, by run id; arguments as `active_tasks`."""
    tasks = active_tasks(results_dir, strict=strict)
    return {run_id: task.queued.job for task in tasks for run_id in task.run_ids}
