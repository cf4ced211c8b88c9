"""What an array task executes: its runs, one after another, from their frozen configurations.

The task's own process only hands out runs; the training is in worker processes, so that a crash harms one run. On
SIGTERM or SIGUSR2 the workers write checkpoints and the task is requeued. Any other end (out of memory, a lost node)
needs no cleaning up: a restarted task, or the same command typed again, finds on disk what is left.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reinit_bench.core.machine import visible_gpus
from reinit_bench.core.provenance import slurm_job
from reinit_bench.core.settings import ConfigError
from reinit_bench.sweep.plan import PlannedRun, make_plan
from reinit_bench.sweep.pool import Pool
from reinit_bench.sweep.slurm import commands
from reinit_bench.sweep.slurm.batch import Batch, read_batch
from reinit_bench.training.interrupt import EXIT_INTERRUPTED, Interrupt, interrupt_on_signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Do a task's runs; returns 0 if none failed, 1 if one did or the batch cannot be read, 75 if interrupted."""
    folder = Path((sys.argv[1:] if arguments is None else arguments)[0])
    index = int(os.environ.get("SLURM_ARRAY_TASK_ID", "0"))
    with interrupt_on_signals() as interrupt:
        try:
            batch = read_batch(folder)
            return TaskRunner(batch, index, interrupt).run()
        except FileNotFoundError:
            say(f"error: this node does not see {folder}; put results_dir on a file system that the nodes share")
        except ConfigError as error:
            say(f"error: {error}")
    return 1


class TaskRunner:
    """One attempt at one array task."""

    def __init__(self, batch: Batch, index: int, interrupt: Interrupt) -> None:
        self.batch, self.index, self.interrupt = batch, index, interrupt
        self.job = slurm_job()

    def run(self) -> int:
        """Do what is left of the task; returns the exit code."""
        say(f"task {self.index} of {self.batch.name}, restart {restarts()}, on {os.uname().nodename}")
        if self.index in self.batch.cancelled():
            say("cancelled")
            return 0
        # No run counts as queued: the job in the queue is this task itself, so only what is on disk counts.
        plan = make_plan(map(PlannedRun.from_dict, self.batch.configs(self.index)), lambda results_dir: {})
        # A run that failed in this task, in this start or an earlier one, is not tried again by it.
        failed = [run for run in plan.in_state("failed") if self.job and run.status.get("slurm_job") == self.job]
        todo = [run for run in plan.runs if run.state != "done" and run not in failed]
        # A run whose last holder was this task on a node that was lost is taken over once its heartbeat stands still.
        outcome = self._pool().run(todo, log_event, self.interrupt)
        if self.interrupt.requested or outcome.was_stopped:
            return self._stopped()
        failed += outcome.ended["failed"]
        for run in outcome.ended["held"]:
            say(f"{run.run_id} left to another process: {outcome.causes[run.run_id]}")
        say(f"{outcome.count('done')} done, {plan.counts['done']} already done, {len(failed)} failed")
        return 1 if failed else 0

    def _pool(self) -> Pool:
        gpus = visible_gpus()
        workers = self.batch.workers or len(gpus) * (self.batch.workers_per_gpu or 1) or 1
        return Pool(workers, self.batch.threads or max(1, self.batch.cpus // workers), gpus)

    def _stopped(self) -> int:
        """Requeue the task, now that all checkpoints are written, unless that is unwanted or impossible."""
        try:
            why_not = self._why_not_again()
            if not why_not:
                say("stopped, checkpoints written; queued again")
                commands.requeue(str(self.job))  # SLURM ends this process to do so
        except ConfigError as error:
            why_not = str(error)
        if why_not:
            say(f"stopped, and not queued again: {why_not}; the same command resumes from the checkpoints")
        return EXIT_INTERRUPTED

    def _why_not_again(self) -> str:
        if self.job is None:
            return "this is not a SLURM job"
        if self.index in self.batch.cancelled():
            return "cancelled"
        if restarts() >= self.batch.max_requeues:
            return f"it has been {restarts()} times already (hydra.launcher.max_requeues)"
        state = commands.job_state(self.job)
        # Cancelled by hand, or preempted by SLURM, which then requeues it itself.
        return "" if state == "RUNNING" else f"SLURM ends it or queues it again itself ({state or 'unknown to squeue'})"


def restarts() -> int:
    """How often SLURM has restarted this task."""
    return int(os.environ.get("SLURM_RESTART_COUNT") or 0)


def log_event(run: PlannedRun, kind: str, values: Mapping[str, Any]) -> None:
    """Log one event of a run; epochs are left out, being in the run's history.jsonl."""
    if kind == "epoch":
        return
    words = {
        "started": f"{run.experiment.title}, from step {values.get('first_step')}",
        "round": f"round {values.get('round')}/{values.get('rounds')}, test {values.get('test_accuracy')}",
        "done": f"test {values.get('test_accuracy')}",
    }
    say(f"{run.run_id} {kind}: {words.get(kind) or values.get('text') or values.get('why') or ''}".rstrip(": "))


def say(line: str) -> None:
    """Write a line to the task's log."""
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
