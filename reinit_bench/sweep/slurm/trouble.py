"""What keeps tasks from running on SLURM, outside any run: held jobs, nodes that lack a folder or a Python."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

from reinit_bench.sweep.slurm import commands
from reinit_bench.sweep.slurm.batch import Batch, batches
from reinit_bench.sweep.slurm.commands import SlurmError
from reinit_bench.sweep.slurm.queue import Task, known_tasks

WAITING = ("", "None", "(null)", "Priority", "Resources", "JobArrayTaskLimit", "BeginTime")
"""SLURM's reasons that need no explanation: the task waits for its turn."""


def slurm_trouble(results_dir: Path) -> list[str]:
    """Lines on tasks that cannot begin, that left no log, or that ended before they came to a run."""
    found = [batch for batch in batches(results_dir) if batch.job is not None]
    if not found or not commands.available():
        return []
    try:
        known = known_tasks(results_dir)
    except SlurmError as error:
        warnings.warn(str(error), stacklevel=2)
        return []
    return [
        line for batch in found for line in _lines(batch, [task for task in known if task.batch.name == batch.name])
    ]


def _lines(batch: Batch, tasks: list[Task]) -> list[str]:
    reasons = Counter(task.queued.reason for task in tasks if task.queued.state == "PENDING")
    held = [f"job {batch.job}: {count} tasks wait: {why}" for why, count in reasons.items() if why not in WAITING]
    waiting = {task.index for task in tasks if not task.queued.ended}
    logs = {int(path.stem.rpartition("_")[2]): path for path in (batch.folder / "logs").glob("*_*.log")}
    over = set(range(len(batch.tasks))) - waiting - batch.cancelled()
    lines = [*held, _no_log(batch, tasks, over - logs.keys()), _no_start(batch, logs, over & logs.keys())]
    return [line for line in lines if line]


def _no_log(batch: Batch, tasks: list[Task], silent: set[int]) -> str:
    if not silent:
        return ""
    said = sorted({task.queued.comment for task in tasks if task.index in silent} - {"", "(null)"})
    where = batch.folder.parent.parent
    why = "; ".join(said) or f"perhaps their nodes do not see {where}: put results_dir on a file system that they share"
    return f"job {batch.job}: {len(silent)} of {len(batch.tasks)} tasks ended without writing a log; {why}"


def _no_start(batch: Batch, logs: dict[int, Path], over: set[int]) -> str:
    """A task's own first line names its batch; a log without it is that of a Python that could not start."""
    texts = {index: logs[index].read_text(errors="replace").strip() for index in over}
    broken = {index: text for index, text in texts.items() if f"of {batch.name}, restart" not in text}
    if not broken:
        return ""
    last = next((text.splitlines()[-1] for text in broken.values() if text), "nothing in their logs")
    return f"job {batch.job}: {len(broken)} of {len(batch.tasks)} tasks ended before they came to a run; {last}"
