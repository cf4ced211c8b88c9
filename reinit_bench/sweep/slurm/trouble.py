"""What went wrong on SLURM outside any run: tasks that left no log, e.g. on a node that lacks the results folder."""

from __future__ import annotations

import warnings
from pathlib import Path

from reinit_bench.sweep.slurm import commands
from reinit_bench.sweep.slurm.batch import Batch, batches
from reinit_bench.sweep.slurm.commands import SlurmError
from reinit_bench.sweep.slurm.queue import Task, known_tasks


def silent_tasks(results_dir: Path) -> list[str]:
    """One line for each array with tasks that ended without writing a log."""
    found = [batch for batch in batches(results_dir) if batch.job is not None]
    if not found or not commands.available():
        return []
    try:
        known = known_tasks(results_dir)
    except SlurmError as error:
        warnings.warn(str(error), stacklevel=2)
        return []
    return [line for batch in found if (line := _line(batch, known))]


def _line(batch: Batch, known: list[Task]) -> str:
    mine = [task for task in known if task.batch.name == batch.name]
    waiting = {task.index for task in mine if not task.queued.ended}
    spoken = {int(path.stem.rpartition("_")[2]) for path in (batch.folder / "logs").glob("*_*.log")}
    silent = set(range(len(batch.tasks))) - waiting - spoken - batch.cancelled()
    if not silent:
        return ""
    said = sorted({task.queued.comment for task in mine if task.index in silent} - {"", "(null)"})
    where = batch.folder.parent.parent
    why = "; ".join(said) or f"perhaps their nodes do not see {where}: put results_dir on a file system that they share"
    return f"job {batch.job}: {len(silent)} of {len(batch.tasks)} tasks ended without writing a log; {why}"
