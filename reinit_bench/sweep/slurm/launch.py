"""A sweep on SLURM: plan it, skip what is done or under way, submit the rest, and say how to follow it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console

from reinit_bench.core.settings import ConfigError
from reinit_bench.store.files import StoreError
from reinit_bench.store.store import Store
from reinit_bench.sweep.cost import CPU, GPU, START_SECONDS, Rates, place_of
from reinit_bench.sweep.plan import Plan, PlannedRun, SweepFailed, make_plan, summary_line
from reinit_bench.sweep.slurm import commands
from reinit_bench.sweep.slurm.batch import Batch, batches_dir, new_folder
from reinit_bench.sweep.slurm.executor import ArrayExecutor
from reinit_bench.sweep.slurm.options import Options, Resources
from reinit_bench.sweep.slurm.queue import queued_runs
from reinit_bench.sweep.slurm.task_plans import TaskPlan, plan_tasks

LOCK_SECONDS = 60.0


def run_on_slurm(runs: Iterable[PlannedRun], options: Options, console: Console | None = None) -> list[Batch]:
    """Submit what is left of a sweep; returns the submitted batches.

    Raises:
        ConfigError: the runs have more than one results folder; nothing is submitted.
        SlurmError: SLURM is missing or refuses; arrays that it has already accepted stay in the queue.
        SweepFailed: `options.wait` is set, and some runs failed or were left unfinished.
    """
    commands.require()
    console = console or Console()
    located = [_located(run) for run in runs]
    results_dir = _only_results_dir(located)
    with submitting(results_dir):
        plan = make_plan(located, queued_runs)
        todo = plan.to_run(options.retry)
        plan.tidy()
        console.out(summary_line(plan), highlight=False)
        submitted = submit(todo, options, results_dir, console) if todo else []
    if options.wait:
        wait(plan, options, console)
    elif submitted:
        _say_how_to_follow(plan, results_dir, console)
    return submitted


def submit(todo: Sequence[PlannedRun], options: Options, results_dir: Path, console: Console) -> list[Batch]:
    """Cut the runs into array tasks and submit them, in arrays as large as the cluster allows."""
    rates, largest = Rates.of(Store(results_dir)), commands.max_array_size()

    def seconds_of(run: PlannedRun, resources: Resources) -> float:
        on = place_of(run.execution.device, GPU if resources.gpu_count else CPU)
        return rates.seconds(run.experiment, on, options.sharing(run.experiment))

    classes = plan_tasks(todo, options, seconds_of)
    for resources, tasks in classes:
        _check_limit(resources, tasks, options, rates)
    total = sum(task.seconds for _, tasks in classes for task in tasks)
    submitted = []
    for resources, tasks in classes:
        for part in dealt(tasks, -(-len(tasks) // largest)):
            share = max(1, round(options.max_parallel * sum(task.seconds for task in part) / total))
            submitted.append(_submit_array(part, resources, options, share, results_dir))
            console.out(_line(submitted[-1], part), highlight=False)
    return submitted


def _check_limit(resources: Resources, tasks: Sequence[TaskPlan], options: Options, rates: Rates) -> None:
    """Raise ConfigError if a task's time limit ends it before it can have taken a step and saved it."""
    on = GPU if resources.gpu_count else CPU
    usable = 60 * resources.minutes - options.lead_seconds(resources)
    for run in (run for task in tasks for run in task.runs):
        needed = START_SECONDS[on] + rates.seconds_of_a_step(run.experiment, on)
        if needed > usable:
            raise ConfigError(
                f"hydra.launcher.minutes={resources.minutes} is too short for {run.experiment.title}: to start and "
                f"take one step takes about {needed:.0f} s, and the signal to stop comes after {usable:.0f} s"
            )


def dealt(tasks: Sequence[TaskPlan], hands: int) -> list[Sequence[TaskPlan]]:
    """Tasks dealt out like cards: each array has its own throttle, so all should take equally long."""
    return [tasks[first::hands] for first in range(hands)]


def _submit_array(
    tasks: Sequence[TaskPlan], resources: Resources, options: Options, max_parallel: int, results_dir: Path
) -> Batch:
    batch = Batch(
        folder=new_folder(results_dir),
        study=tasks[0].runs[0].execution.study,
        tasks=[[run.run_id for run in task.runs] for task in tasks],
        cpus=resources.cpus,
        workers=options.workers,
        workers_per_gpu=None if options.workers else tasks[0].sharing,
        threads=options.threads,
        max_requeues=options.max_requeues,
    )
    # Written before it is submitted: wherever this process dies, squeue and the folder tell what is under way.
    batch.create([[run.to_dict() for run in task.runs] for task in tasks])
    try:
        job = ArrayExecutor(batch).submit_tasks(resources, options, max_parallel)
    except Exception:
        shutil.rmtree(batch.folder)  # SLURM did not accept it
        raise
    return batch.submitted(job)


@contextmanager
def submitting(results_dir: Path) -> Iterator[None]:
    """Lock a results folder for submission: a second submitter plans only after the first has submitted."""
    folder = batches_dir(results_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=LOCK_SECONDS)
        with lock:
            yield
    except Timeout as error:
        raise ConfigError(
            f"another command has been submitting to {folder} for {LOCK_SECONDS:.0f} s; try again"
        ) from error
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise StoreError(f"cannot write {folder}: {error.strerror}; change results_dir") from error


def wait(plan: Plan, options: Options, console: Console, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until none of the sweep's runs is queued or running.

    Raises:
        SweepFailed: some runs failed or were left unfinished.
    """
    plan, last = plan.looked_up_again(queued_runs), ""
    while plan.in_state("queued", "running", "unknown"):
        if summary_line(plan) != last:
            last = summary_line(plan)
            console.out(last, highlight=False)
        sleep(options.poll_seconds)
        plan = plan.looked_up_again(partial(queued_runs, strict=False))
    console.out(summary_line(plan), highlight=False)
    if plan.counts["done"] < len(plan.runs):
        raise SweepFailed(f"{summary_line(plan)}; see reinit-bench status")


def _located(run: PlannedRun) -> PlannedRun:
    """The run with its results folder as an absolute path: a task starts in another directory."""
    return replace(run, execution=replace(run.execution, results_dir=run.execution.results_dir.resolve()))


def _only_results_dir(runs: Sequence[PlannedRun]) -> Path:
    found = {run.execution.results_dir for run in runs}
    if len(found) != 1:
        names = ", ".join(sorted(map(str, found)))
        raise ConfigError(f"a sweep on SLURM must have one results_dir; got {names or 'no runs'}")
    return found.pop()


def _line(batch: Batch, tasks: Sequence[TaskPlan]) -> str:
    runs, hours = sum(len(task.runs) for task in tasks), sum(task.seconds / task.sharing for task in tasks) / 3600
    counts = ", ".join(f"{count} {noun}{'s' * (count != 1)}" for count, noun in ((len(tasks), "task"), (runs, "run")))
    return f"submitted job {batch.job}: {counts}, about {hours:.3g} hours of computing"


def _say_how_to_follow(plan: Plan, results_dir: Path, console: Console) -> None:
    study = plan.runs[0].execution.study
    words = " ".join(filter(None, [f"study={study}" if study else "", f"results_dir={results_dir}"]))
    console.out(f"follow: reinit-bench status {words} --watch", highlight=False)
    console.out(f"end:    reinit-bench cancel {words}", highlight=False)
