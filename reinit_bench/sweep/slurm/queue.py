"""What SLURM knows of a results folder: its tasks in the queue, what keeps them from running, logs; and cancelling."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reinit_bench.store.store import RESULT
from reinit_bench.sweep.plan import UNKNOWN
from reinit_bench.sweep.slurm import commands
from reinit_bench.sweep.slurm.batch import Batch, batches
from reinit_bench.sweep.slurm.commands import QueueEntry, SlurmError

WAITING = ("", "None", "(null)", "Priority", "Resources", "JobArrayTaskLimit", "BeginTime")
"""SLURM's reasons that need no explanation: the task waits for its turn."""


@dataclass(frozen=True)
class ArrayTask:
    """One array task that SLURM still knows: which task of a batch it is, and what squeue says of it."""

    batch: Batch
    index: int
    entry: QueueEntry

    @property
    def run_ids(self) -> Sequence[str]:
        return self.batch.tasks[self.index]


def known_tasks(found: Sequence[Batch]) -> list[ArrayTask]:
    """All tasks of these batches that squeue shows, even if they have ended, oldest first; one call of squeue.

    Raises:
        SlurmError: squeue fails, or its answer cannot be read.
    """
    by_name = {batch.name: batch for batch in found}
    tasks = []
    for entry in commands.squeue({batch.folder.stat().st_uid for batch in found}) if found else ():
        array, _, index = entry.job.partition("_")
        batch = by_name.get(entry.name)
        if batch is not None and index.isdigit() and int(index) < len(batch.tasks) and batch.job in (None, array):
            tasks.append(ArrayTask(batch, int(index), entry))
    return sorted(tasks, key=lambda task: task.batch.name)


def active_tasks(results_dir: Path, *, strict: bool = True) -> list[ArrayTask]:
    """The tasks that are queued or running.

    Args:
        strict: raise an error if squeue exists but does not answer: submitting again then could run things twice.
            Otherwise warn, and count every task that was ever submitted, its job `UNKNOWN`.

    Raises:
        SlurmError: squeue does not answer, and `strict`.
    """
    found = list(batches(results_dir))
    if not found:
        return []
    if not commands.available():
        warnings.warn(
            f"{results_dir} was used with SLURM, but there is no squeue here: queued runs are counted as missing",
            stacklevel=2,
        )
        return []
    try:
        return [task for task in known_tasks(found) if not task.entry.ended]
    except SlurmError as error:
        if strict:
            raise
        warnings.warn(f"{error}; which runs are queued is unknown", stacklevel=2)
        every = ((batch, index) for batch in found for index in range(len(batch.tasks)))
        return [ArrayTask(batch, index, QueueEntry(UNKNOWN, batch.name, UNKNOWN)) for batch, index in every]


def jobs_of(tasks: Sequence[ArrayTask]) -> dict[str, list[str]]:
    """By run id, the jobs (like 12_3, or `UNKNOWN`) of the tasks that contain the run, oldest first."""
    jobs: defaultdict[str, list[str]] = defaultdict(list)
    for task in tasks:
        for run_id in task.run_ids:
            jobs[run_id].append(task.entry.job)
    return dict(jobs)


def queued_runs(results_dir: Path, *, strict: bool = True) -> dict[str, list[str]]:
    """The jobs that will do each run or are at it, by run id; arguments as `active_tasks`."""
    return jobs_of(active_tasks(results_dir, strict=strict))


def cancel(results_dir: Path, run_ids: Collection[str] | None = None) -> list[ArrayTask]:
    """Cancel the array tasks that contain any of these runs (None: all tasks of the results folder); returns them.

    A running task writes checkpoints first. A task is cancelled as a whole, including runs of it that are not in
    `run_ids`.

    Raises:
        SlurmError: SLURM does not answer or refuses.
    """
    wanted = None if run_ids is None else set(run_ids)
    tasks = [
        task
        for task in known_tasks(list(batches(results_dir)))
        if not task.entry.ended and (wanted is None or not wanted.isdisjoint(task.run_ids))
    ]
    # Recorded first: when the signal arrives, a task must already know that it is not to requeue itself.
    for batch in {task.batch.folder: task.batch for task in tasks}.values():
        batch.call_off([task.index for task in tasks if task.batch.folder == batch.folder])
    commands.cancel([task.entry.job for task in tasks])
    return tasks


def logs_of(results_dir: Path, beginning: str) -> list[tuple[str, Path]]:
    """Runs whose id starts with `beginning`, each with the logs of the tasks that contained it, oldest first."""
    return [
        (run_id, path)
        for batch in batches(results_dir)
        for index, run_ids in enumerate(batch.tasks)
        for run_id in run_ids
        if run_id.startswith(beginning)
        for path in sorted((batch.folder / "logs").glob(f"*_{index}.log"))
    ]


def lines_of(path: Path, run_id: str) -> list[str]:
    """The lines of a log from the first to the last that names a run, with whatever was printed in between."""
    lines = path.read_text(errors="replace").splitlines()
    own = [number for number, line in enumerate(lines) if run_id in line]
    return lines[own[0] : own[-1] + 1] if own else []


def slurm_trouble(results_dir: Path, done: Collection[str] = ()) -> list[str]:
    """Lines on tasks that cannot begin, that left no log, or that ended before they came to a run.

    Args:
        done: runs that are known to be done. A task is of no interest if all its runs are done or in a later batch.
    """
    found = [batch for batch in batches(results_dir) if batch.job is not None]
    if not found or not commands.available():
        return []
    try:
        known = known_tasks(found)
    except SlurmError as error:
        warnings.warn(str(error), stacklevel=2)
        return []
    settled, lines, runs = set(done), list[str](), results_dir / "runs"
    for batch in reversed(found):
        left = {
            index
            for index, run_ids in enumerate(batch.tasks)
            if any(run_id not in settled and not (runs / run_id / RESULT).exists() for run_id in run_ids)
        }
        settled.update(*batch.tasks)
        own = [task for task in known if task.batch.name == batch.name and task.index in left]
        lines = [*_trouble_of(batch, own, left - batch.cancelled()), *lines]
    return lines


def _trouble_of(batch: Batch, tasks: Sequence[ArrayTask], left: set[int]) -> Iterator[str]:
    reasons = Counter(task.entry.reason for task in tasks if task.entry.state == "PENDING")
    yield from (f"job {batch.job}: {count} tasks wait: {why}" for why, count in reasons.items() if why not in WAITING)
    over = left - {task.index for task in tasks if not task.entry.ended}
    logs = {int(path.stem.rpartition("_")[2]): path for path in (batch.folder / "logs").glob("*_*.log")}
    if silent := over - logs.keys():
        said = sorted({task.entry.comment for task in tasks if task.index in silent} - {"", "(null)"})
        hint = f"perhaps their nodes do not see {batch.folder.parent.parent}"
        why = "; ".join(said) or f"{hint}: put results_dir on a file system that they share"
        yield f"job {batch.job}: {len(silent)} of {len(batch.tasks)} tasks ended without writing a log; {why}"
    # A task's own first line names its batch; a log without it is that of a Python that could not start.
    texts = [logs[index].read_text(errors="replace").strip() for index in sorted(over & logs.keys())]
    if broken := [text for text in texts if f"of {batch.name}, restart" not in text]:
        last = next((text.splitlines()[-1] for text in broken if text), "nothing in their logs")
        yield f"job {batch.job}: {len(broken)} of {len(batch.tasks)} tasks ended before they came to a run; {last}"
