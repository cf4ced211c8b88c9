"""Sweeps on SLURM: many runs per task, tasks in job arrays, submitted through submitit, resumed from disk alone."""
