"""A sweep on SLURM: plan, skip what is done or on its way, pack the rest, submit arrays, and say how to follow them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console

from reinit_bench.core.config import Execution
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.files import StoreError
from reinit_bench.store.store import Store
from reinit_bench.sweep.cost import CPU, GPU, Rates
from reinit_bench.sweep.plan import Plan, PlannedRun, SweepFailed, make_plan, summary_line
from reinit_bench.sweep.slurm import commands
from reinit_bench.sweep.slurm.batch import Batch, batches_dir, new_folder
from reinit_bench.sweep.slurm.executor import PackExecutor
from reinit_bench.sweep.slurm.options import Options, Resources
from reinit_bench.sweep.slurm.packing import Load, loads_by_class

LOCK_SECONDS = 60.0


def run_on_slurm(configs: Iterable[Mapping[str, Any]], options: Options, console: Console | None = None) -> list[Batch]:
    """Submit what is missing of a sweep; returns the submitted batches.

    Raises:
        ConfigError: a configuration is not valid, or the runs have more than one results folder; nothing is submitted.
        SlurmError: SLURM is missing or refuses; arrays that it took before are kept and on their way.
        SweepFailed: `options.wait`, and some runs have failed.
    """
    commands.require()
    console = console or Console()
    frozen = [_frozen(config) for config in configs]
    results_dir = _only_results_dir(frozen)
    with submitting(results_dir):
        plan = make_plan(frozen)
        todo = plan.to_run(options.retry)
        console.out(summary_line(plan), highlight=False)
        submitted = submit(todo, options, results_dir, console) if todo else []
    if options.wait:
        wait(frozen, options, console)
    elif submitted:
        _say_how_to_follow(plan, results_dir, console)
    return submitted


def submit(todo: Sequence[PlannedRun], options: Options, results_dir: Path, console: Console) -> list[Batch]:
    """Pack the runs and submit them, each class of resources in arrays as large as the cluster allows."""
    rates, largest = Rates.of(Store(results_dir)), commands.max_array_size()
    classes = loads_by_class(todo, options, lambda run, on: rates.seconds(run.experiment, GPU if on.uses_gpu else CPU))
    total = sum(load.seconds for _, loads in classes for load in loads)
    submitted = []
    for resources, loads in classes:
        for part in dealt(loads, -(-len(loads) // largest)):
            share = max(1, round(options.max_parallel * sum(load.seconds for load in part) / total))
            submitted.append(_submit_array(part, resources, options, share, results_dir))
            console.out(_line(submitted[-1], part), highlight=False)
    return submitted


def dealt(loads: Sequence[Load], hands: int) -> list[Sequence[Load]]:
    """Loads dealt out like cards: arrays have throttles of their own, so each must be as long as the others."""
    return [loads[first::hands] for first in range(hands)]


def _submit_array(
    loads: Sequence[Load], resources: Resources, options: Options, max_parallel: int, results_dir: Path
) -> Batch:
    batch = Batch(
        folder=new_folder(results_dir),
        study=Execution.from_dict(loads[0].runs[0].config).study,
        packs=[[run.run_id for run in load.runs] for load in loads],
        cpus=resources.cpus,
        workers=options.workers,
        threads=options.threads,
        max_requeues=options.max_requeues,
    )
    # On disk before it is submitted: wherever this process dies, squeue and the folder tell what is under way.
    batch.create([[run.config for run in load.runs] for load in loads])
    try:
        job = PackExecutor(batch).submit_packs(resources, options, max_parallel)
    except Exception:
        _remove(batch)
        raise
    return batch.submitted(job)


def _remove(batch: Batch) -> None:
    """Leave nothing of a batch that SLURM did not take."""
    for path in sorted(batch.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    batch.folder.rmdir()


@contextmanager
def submitting(results_dir: Path) -> Iterator[None]:
    """Keeps two submitters of one results folder apart: the second one plans after the first has submitted."""
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


def wait(
    configs: Sequence[Mapping[str, Any]],
    options: Options,
    console: Console,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Stay until none of the sweep's runs is on its way.

    Raises:
        SweepFailed: some have failed, or were left unfinished.
    """
    plan, last = make_plan(configs), ""
    while plan.in_state("queued", "running"):
        if summary_line(plan) != last:
            last = summary_line(plan)
            console.out(last, highlight=False)
        sleep(options.poll_seconds)
        plan = plan.looked_up_again()
    console.out(summary_line(plan), highlight=False)
    if plan.counts["done"] < len(plan.runs):
        raise SweepFailed(f"{summary_line(plan)}; see reinit-bench status")


def _frozen(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with its results folder as a full path: a task begins in another place."""
    return {**config, "results_dir": str(Execution.from_dict(config).results_dir.resolve())}


def _only_results_dir(configs: Sequence[Mapping[str, Any]]) -> Path:
    found = {str(config["results_dir"]) for config in configs}
    if len(found) != 1:
        raise ConfigError(f"a sweep on SLURM has one results_dir; got {', '.join(sorted(found)) or 'no runs'}")
    return Path(found.pop())


def _line(batch: Batch, loads: Sequence[Load]) -> str:
    runs, hours = sum(len(load.runs) for load in loads), sum(load.seconds for load in loads) / 3600
    counts = ", ".join(f"{count} {noun}{'s' * (count != 1)}" for count, noun in ((len(loads), "task"), (runs, "run")))
    return f"submitted job {batch.job}: {counts}, about {hours:.3g} hours of computing"


def _say_how_to_follow(plan: Plan, results_dir: Path, console: Console) -> None:
    study = Execution.from_dict(plan.runs[0].config).study
    words = " ".join(filter(None, [f"study={study}" if study else "", f"results_dir={results_dir}"]))
    console.out(f"follow: reinit-bench status {words} --watch", highlight=False)
    console.out(f"end:    reinit-bench cancel {words}", highlight=False)
