"""A whole study on a simulated cluster: submitted, preempted, repeated until nothing is missing."""

from __future__ import annotations

import io
import os
import random
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from simulated_cluster import SimulatedCluster, Weather

from reinit_bench.cli.compose import composer
from reinit_bench.core.config import Experiment
from reinit_bench.sweep.cost import GPU, Rates
from reinit_bench.sweep.plan import PlannedRun
from reinit_bench.sweep.slurm.options import Options
from reinit_bench.sweep.slurm.submit import run_on_slurm

LUCK = 0.3
"""The standard deviation of the logarithm of a run's true time over the expected one."""

HOUR = 3600.0
RESOURCES = {"minutes": 1440, "target_minutes": 240, "signal_seconds": 120}


@dataclass(frozen=True, kw_only=True)
class Report:
    """How a simulated study went."""

    cluster: SimulatedCluster
    typed: int
    """How often the command was typed."""

    @property
    def makespan_seconds(self) -> float:
        return max(self.cluster.done_at.values())

    @property
    def ideal_seconds(self) -> float:
        """No schedule is shorter: all work shared out evenly, or the longest run."""
        work = self.cluster.work.values()
        return max(sum(work) / self.cluster.gpus, max(work))


def study_on(
    gpus: int,
    folder: Path,
    weather: Weather,
    *,
    study: str = "paper",
    max_array_size: int = 1001,
    max_requeues: int = 50,
    type_every_hours: float = 24.0,
) -> Report:
    """Run a study on a simulated cluster, repeating the command until nothing is missing."""
    words = (f"study={study}", f"results_dir={folder / 'results'}")
    with composer() as compose:
        configs = [compose.compose(list(job)) for job in compose.jobs(words)]
    experiments = {each.run_id: each for each in map(Experiment.from_dict, configs)}
    cluster = SimulatedCluster(
        folder=folder / "cluster",
        results_dir=(folder / "results").resolve(),
        gpus=gpus,
        work={run_id: work_of(experiment) for run_id, experiment in experiments.items()},
        experiments=experiments,
        weather=weather,
        max_array_size=max_array_size,
    )
    options = Options(**RESOURCES, max_parallel=gpus, max_requeues=max_requeues)
    path, typed = os.environ["PATH"], 0
    os.environ["PATH"] = cluster.path
    try:
        while len(cluster.done_at) < len(experiments):
            run_on_slurm(map(PlannedRun.from_dict, configs), options, Console(file=io.StringIO()))
            typed += 1
            cluster.run_until(cluster.now + type_every_hours * HOUR)
    finally:
        os.environ["PATH"] = path
    return Report(cluster=cluster, typed=typed)


def work_of(experiment: Experiment) -> float:
    """A run's true seconds on one GPU: the expected ones, times a random factor of its own."""
    luck = random.Random(experiment.run_id).lognormvariate(0.0, LUCK)
    return Rates({}, {}).seconds(experiment, GPU) * luck
