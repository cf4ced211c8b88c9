"""A sweep on SLURM: plan it, skip what is done or under way, submit the rest, and say how to follow it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from reinit_bench.core.settings import ConfigError
from reinit_bench.store.files import StoreError, make_folder
from reinit_bench.store.lock import locked
from reinit_bench.store.store import Store
from reinit_bench.sweep.cost import CPU, GPU, Rates, device_kind
from reinit_bench.sweep.plan import Plan, PlannedRun, SweepFailed, make_plan, summary_line
from reinit_bench.sweep.slurm import commands
from reinit_bench.sweep.slurm.batch import Batch, batches_dir, new_folder, tidy
from reinit_bench.sweep.slurm.options import Options, Resources
from reinit_bench.sweep.slurm.queue import active_tasks, queued_runs
from reinit_bench.sweep.slurm.sbatch import submit_array

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
        if submitted:
            tidy(results_dir, {task.batch.name for task in active_tasks(results_dir)})
    if options.wait:
        wait(plan, options, console)
    elif submitted:
        _say_how_to_follow(plan, results_dir, console)
    return submitted


def submit(todo: Sequence[PlannedRun], options: Options, results_dir: Path, console: Console) -> list[Batch]:
    """Cut the runs into array tasks and submit them, in arrays as large as the cluster allows."""
    rates, largest = Rates.of(Store(results_dir)), commands.max_array_size()

    def seconds_of(run: PlannedRun, resources: Resources) -> float:
        on = device_kind(run.execution.device, GPU if resources.gpu_count else CPU)
        return rates.seconds(run.experiment, on)

    classes = plan_tasks(todo, options, seconds_of)
    total = sum(task.seconds for _, tasks in classes for task in tasks)
    submitted = []
    for resources, tasks in classes:
        arrays = -(-len(tasks) // largest)
        for first in range(arrays):
            # Each array has its own throttle, so all should take equally long: every array gets some of the longest.
            part = tasks[first::arrays]
            share = max(1, round(options.max_parallel * sum(task.seconds for task in part) / total))
            submitted.append(_submit_array(part, resources, options, share, results_dir))
            console.out(_line(submitted[-1], part, options.sharing(resources)), highlight=False)
    return submitted


@dataclass(frozen=True)
class TaskPlan:
    """The runs of one array task, and how many seconds one worker is expected to take for them."""

    runs: tuple[PlannedRun, ...]
    seconds: float


def plan_tasks(
    runs: Sequence[PlannedRun], options: Options, seconds_of: Callable[[PlannedRun, Resources], float]
) -> list[tuple[Resources, list[TaskPlan]]]:
    """Pack runs into tasks, and group the tasks by what they request: an array for each group.

    A worker keeps its data and its compiled model from run to run, so a task's runs share dataset, model, image size,
    batch size and precision. The longest tasks come first, so that a sweep does not end waiting for a long one.

    Args:
        seconds_of: the expected seconds of a run on given resources.
    """
    groups: dict[tuple[Any, ...], list[tuple[PlannedRun, float]]] = {}
    for run in runs:
        resources, e = options.resources(run.experiment), run.experiment
        size = (e.image_size, e.precision, e.trainer.batch_size, e.model.get("width"))
        shared = (resources, e.dataset["name"], e.dataset.get("train_examples"), e.model["name"], *size)
        groups.setdefault(shared, []).append((run, seconds_of(run, resources)))
    classes: dict[Resources, list[TaskPlan]] = {}
    for (resources, *_), timed in groups.items():
        workers = options.workers or max(resources.gpu_count, 1) * options.sharing(resources)
        classes.setdefault(resources, []).extend(_filled(timed, options.target_minutes * 60.0 * workers))
    return [(each, sorted(tasks, key=lambda task: -task.seconds)) for each, tasks in classes.items()]


def _filled(timed: Sequence[tuple[PlannedRun, float]], target_seconds: float) -> Iterator[TaskPlan]:
    """Tasks of at most `target_seconds`, in order; a run that is longer is a task by itself."""
    runs: list[PlannedRun] = []
    total = 0.0
    for run, seconds in timed:
        if runs and total + seconds > target_seconds:
            yield TaskPlan(tuple(runs), total)
            runs, total = [], 0.0
        runs.append(run)
        total += seconds
    yield TaskPlan(tuple(runs), total)


def _submit_array(
    tasks: Sequence[TaskPlan], resources: Resources, options: Options, max_parallel: int, results_dir: Path
) -> Batch:
    batch = Batch(
        folder=new_folder(results_dir),
        study=tasks[0].runs[0].execution.study,
        tasks=[[run.run_id for run in task.runs] for task in tasks],
        cpus=resources.cpus,
        workers=options.workers,
        workers_per_gpu=options.workers_per_gpu,
        threads=options.threads,
        max_requeues=options.max_requeues,
    )
    # Written before it is submitted: wherever this process dies, squeue and the folder tell what is under way.
    batch.create([[run.to_dict() for run in task.runs] for task in tasks])
    try:
        job = submit_array(batch, resources, options, max_parallel)
    except Exception:
        shutil.rmtree(batch.folder)  # SLURM did not accept it
        raise
    return batch.submitted(job)


@contextmanager
def submitting(results_dir: Path) -> Iterator[None]:
    """Lock a results folder for submission: a second submitter plans only after the first has submitted."""
    folder = batches_dir(results_dir)
    make_folder(folder)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / ".lock", LOCK_SECONDS))
        except TimeoutError as error:
            raise ConfigError(f"another command has been submitting to {folder} for {LOCK_SECONDS:.0f} s") from error
        except OSError as error:
            raise StoreError(f"cannot write {folder}: {error.strerror}; change results_dir") from error
        yield


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


def _line(batch: Batch, tasks: Sequence[TaskPlan], sharing: int) -> str:
    runs, hours = sum(len(task.runs) for task in tasks), sum(task.seconds for task in tasks) / sharing / 3600
    counts = ", ".join(f"{count} {noun}{'s' * (count != 1)}" for count, noun in ((len(tasks), "task"), (runs, "run")))
    return f"submitted job {batch.job}: {counts}, about {hours:.3g} hours of computing"


def _say_how_to_follow(plan: Plan, results_dir: Path, console: Console) -> None:
    study = plan.runs[0].execution.study
    words = " ".join(filter(None, [f"study={study}" if study else "", f"results_dir={results_dir}"]))
    console.out(f"follow: reinit-bench status {words} --watch", highlight=False)
    console.out(f"end:    reinit-bench cancel {words}", highlight=False)
