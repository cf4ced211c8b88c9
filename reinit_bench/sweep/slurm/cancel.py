"""Calling a sweep off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from reinit_bench.sweep.slurm import commands
from reinit_bench.sweep.slurm.queue import Task, known_tasks


def cancel(results_dir: Path, run_ids: Collection[str] | None = None) -> list[Task]:
    """End the array tasks that have any of these runs to do (None: all of the results folder's); returns them.

    A task that is at work writes checkpoints first. A task is called off as a whole, runs of it that are not among
    `run_ids` too.

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
    # Said first: a task must know, when the signal comes, that it is not to queue itself again.
    for together in by_folder.values():
        together[0].batch.call_off([task.index for task in together])
    commands.cancel([task.queued.job for task in tasks])
    return tasks
