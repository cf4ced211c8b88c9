"""Sweeps on SLURM: many runs to a task, tasks in job arrays, submitted through submitit, resumed from disk alone."""
