"""A sweep on this machine: plan it, skip what is done or under way, run the rest in a pool, report the outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console

from reinit_bench.core.machine import cores, visible_gpus
from reinit_bench.core.settings import checked
from reinit_bench.reporting.sweep_console import SweepConsole
from reinit_bench.sweep.plan import Plan, PlannedRun, SweepFailed, make_plan, summary_line
from reinit_bench.sweep.pool import Outcome, Pool
from reinit_bench.sweep.slurm.options import check_one_of
from reinit_bench.sweep.slurm.queue import queued_runs
from reinit_bench.training.interrupt import Interrupted


def run_locally(
    runs: Iterable[PlannedRun],
    workers: int | None = None,
    threads: int | None = None,
    console: Console | None = None,
    retry: Any = "all",
    workers_per_gpu: Any = None,
) -> Plan:
    """Run what is left of a sweep in worker processes; returns the plan that was carried out.

    Args:
        workers: how many processes; None: one per GPU, or one per CPU core.
        threads: CPU threads of each; None: the cores divided among the workers.
        retry: which failed runs to run again: all, none, or kinds of error.
        workers_per_gpu: how many processes each GPU has; None: one. Not with `workers`.

    Raises:
        ConfigError: an option is wrong, or the results folder is also used with SLURM and squeue does not answer.
        SweepFailed: some runs failed; all others have ended.
        Interrupted: a stop was requested; all runs have written their checkpoints.
    """
    workers, threads = checked_count("workers", workers), checked_count("threads", threads)
    per_gpu = checked_count("workers_per_gpu", workers_per_gpu)
    check_one_of(workers, per_gpu)
    console = console or Console()
    plan = make_plan(runs, queued_runs)
    todo = plan.to_run(retry)
    plan.tidy()
    console.out(summary_line(plan), highlight=False)
    if not todo:
        _check_ends(plan, [], [])
        return plan
    pool = make_pool(todo, workers, threads, per_gpu)
    with SweepConsole(len(todo), console) as display:
        outcome = pool.run(
            todo, lambda run, kind, values: display.on_event(run.run_id, run.experiment.title, kind, values)
        )
    console.out(outcome_line(outcome), highlight=False)
    if outcome.was_stopped:
        console.out("the same command resumes from the checkpoints", highlight=False)
        raise Interrupted("stopped by a signal")
    if outcome.count("failed"):
        raise SweepFailed(_failures(outcome))
    _check_ends(plan, todo, outcome.ended["held"])
    return plan


def checked_count(name: str, value: Any) -> int | None:
    """A field of the launcher that is a number of processes or threads, or null.

    Raises:
        ConfigError: it is something else.
    """
    count: int | None = checked(f"hydra.launcher.{name}", value, int | None, {"limits": {"least": 1}})
    return count


def _check_ends(plan: Plan, tried: list[PlannedRun], held: list[PlannedRun]) -> None:
    """Raise SweepFailed if runs are left over: held by another command, or failed before and not tried again."""
    failed = len(plan.in_state("failed")) - sum(run.state == "failed" for run in tried)
    if failed:
        raise SweepFailed(f"{failed} failed before and not tried again (hydra.launcher.retry); see reinit-bench status")
    if held:
        raise SweepFailed(f"{len(held)} held by another process; type the command again when that has ended")


def make_pool(todo: list[PlannedRun], workers: int | None, threads: int | None, per_gpu: int | None = None) -> Pool:
    """The pool that suits this machine.

    Two processes with one thread each train small networks 1.2 to 1.4 times as fast as one process with two threads.
    """
    count, gpus = processes(todo, workers, per_gpu)
    return Pool(count, threads or max(1, cores() // count), gpus)


def processes(
    todo: Sequence[PlannedRun], workers: int | None = None, per_gpu: int | None = None
) -> tuple[int, list[str]]:
    """How many worker processes these runs get on this machine, and the ids of the GPUs that they use, if any.

    Args:
        workers: how many are asked for; None: `per_gpu` for each GPU, or one per CPU core.
        per_gpu: how many for each GPU; None: one.
    """
    gpus = visible_gpus() if any(run.execution.device != "cpu" for run in todo) else []
    if workers or not gpus:
        return workers or cores(), gpus
    return len(gpus) * (per_gpu or 1), gpus


def outcome_line(outcome: Outcome) -> str:
    """How the runs ended: `6 done; 1 failed`."""
    return "; ".join(f"{len(runs)} {kind}" for kind, runs in outcome.ended.items() if runs)


def _failures(outcome: Outcome) -> str:
    causes: dict[str, int] = {}
    for run in outcome.ended["failed"]:
        cause = outcome.causes.get(run.run_id, "unknown cause")
        causes[cause] = causes.get(cause, 0) + 1
    worst = max(causes, key=lambda cause: causes[cause])
    count = outcome.count("failed")
    share = f", {causes[worst]} of them" if causes[worst] < count else ""
    return f"{count} run{'s' if count != 1 else ''} failed{share}: {worst}; see reinit-bench status"
