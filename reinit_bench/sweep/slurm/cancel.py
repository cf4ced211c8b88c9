"""Cancelling a sweep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from reinit_bench.sweep.slurm import commands
from reinit_bench.sweep.slurm.queue import Task, known_tasks


def cancel(results_dir: Path, run_ids: Collection[str] | None = None) -> list[Task]:
    """Cancel the array tasks that contain any of these runs (None: all tasks of the results folder); returns them.

    A running task writes checkpoints first. A task is cancelled as a whole, including runs of it that are not in
    `run_ids`.

    Raises:
        SlurmError: SLURM does not answer or refuses.
    """
    wanted = None if run_ids is None else set(run_ids)
    tasks = [
        task
        for task in known_tasks(results_dir)
        if not task.queued.ended and (wanted is None or not wanted.isdisjoint(task.run_ids))
    ]
    by_folder: defaultdict[Path, list[Task]] = defaultdict(list)
    for task in tasks:
        by_folder[task.batch.folder].append(task)
    # Recorded first: when the signal arrives, a task must already know that it is not to requeue itself.
    for together in by_folder.values():
        together[0].batch.call_off([task.index for task in together])
    commands.cancel([task.queued.job for task in tasks])
    return tasks
