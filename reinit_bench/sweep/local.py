"""A sweep on this machine: plan it, skip what is done or under way, run the rest in a pool, report the outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console

from reinit_bench.core.machine import cores, visible_gpus
from reinit_bench.reporting.console import SweepConsole
from reinit_bench.sweep.plan import Plan, PlannedRun, SweepFailed, make_plan, summary_line
from reinit_bench.sweep.pool import Outcome, Pool
from reinit_bench.sweep.slurm.options import Workers
from reinit_bench.sweep.slurm.queue import queued_runs
from reinit_bench.training.interrupt import Interrupted


def run_locally(runs: Iterable[PlannedRun], options: Workers | None = None, console: Console | None = None) -> Plan:
    """Run what is left of a sweep in worker processes; returns the plan that was carried out.

    Raises:
        ConfigError: an option is wrong, or the results folder is also used with SLURM and squeue does not answer.
        SweepFailed: some runs failed; all others have ended.
        Interrupted: a stop was requested; all runs have written their checkpoints.
    """
    options, console = options or Workers(), console or Console()
    plan = make_plan(runs, queued_runs)
    todo = plan.to_run(options.retry)
    plan.tidy()
    console.out(summary_line(plan), highlight=False)
    held = _run(todo, options, console) if todo else []
    failed = len(plan.in_state("failed")) - sum(run.state == "failed" for run in todo)
    if failed:
        raise SweepFailed(f"{failed} failed before and not tried again (hydra.launcher.retry); see reinit-bench status")
    if held:
        raise SweepFailed(f"{len(held)} held by another process; type the command again when that has ended")
    return plan


def _run(todo: Sequence[PlannedRun], options: Workers, console: Console) -> list[PlannedRun]:
    """Run these in a pool that suits this machine; returns those that another process holds."""
    # Two processes with one thread each train small networks 1.2 to 1.4 times as fast as one process with two threads.
    count, gpus = processes(todo, options)
    pool = Pool(count, options.threads or max(1, cores() // count), gpus)
    with SweepConsole(len(todo), console) as display:
        outcome = pool.run(
            todo, lambda run, kind, values: display.on_event(run.run_id, run.experiment.title, kind, values)
        )
    ends = "; ".join(f"{len(ended)} {kind}" for kind, ended in outcome.ended.items() if ended)
    console.out(ends, highlight=False)
    if outcome.was_stopped:
        console.out("the same command resumes from the checkpoints", highlight=False)
        raise Interrupted("stopped by a signal")
    if outcome.count("failed"):
        raise SweepFailed(_failures(outcome))
    return outcome.ended["held"]


def processes(todo: Sequence[PlannedRun], options: Workers) -> tuple[int, list[str]]:
    """How many worker processes these runs get on this machine, and the ids of the GPUs that they use, if any."""
    gpus = visible_gpus() if any(run.execution.device != "cpu" for run in todo) else []
    if options.workers or not gpus:
        return options.workers or cores(), gpus
    return len(gpus) * (options.workers_per_gpu or 1), gpus


def _failures(outcome: Outcome) -> str:
    failed = outcome.ended["failed"]
    cause, often = Counter(outcome.causes.get(run.run_id, "unknown cause") for run in failed).most_common(1)[0]
    share = f", {often} of them" if often < len(failed) else ""
    return f"{len(failed)} run{'s' if len(failed) != 1 else ''} failed{share}: {cause}; see reinit-bench status"
