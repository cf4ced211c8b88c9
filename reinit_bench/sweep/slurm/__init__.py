"""Sweeps on SLURM: packs of runs in job arrays, submitted through submitit, resumed from disk alone."""
