"""Cancel a sweep's SLURM jobs; runs in progress write checkpoints first."""

from __future__ import annotations

from reinit_bench.cli.commands._shared import Words, plan_of, split_results_dir


def command(words: Words = None) -> None:
    """Cancel the SLURM jobs of a sweep (study=table2), or all of the results folder's."""
    from reinit_bench.sweep.slurm.queue import cancel

    results_dir, others = split_results_dir(words)
    ended = cancel(results_dir, {run.run_id for run in plan_of(words).runs} if others else None)
    runs = len({run_id for task in ended for run_id in task.run_ids})
    print(f"cancelled: {len(ended)} tasks with {runs} runs" if ended else "none of it is in SLURM's queue")
