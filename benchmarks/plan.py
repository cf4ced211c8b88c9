"""How long the plan and the status of the paper's 2,448 runs take, against Hydra composing each run.

    python benchmarks/plan.py [--sample 60] [--rounds 3]

Composes all runs of study=paper our way and a random sample of them through Hydra's own compose, one after the other in
one process, and checks that the sampled configurations are equal. Then times `reinit-bench plan study=paper` and
`reinit-bench status study=paper` as a user would, in fresh processes, on a store in which every run is done. About a
minute and a half on two cores.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hydra import compose as hydra_compose
from omegaconf import OmegaConf

from reinit_bench.cli.compose import composer
from reinit_bench.core.config import Experiment
from reinit_bench.store.files import write_json
from reinit_bench.store.store import Store

STUDY = ("study=paper",)
TARGET_RATIO = 10.0
TARGET_STATUS_SECONDS = 2.0
T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds of one call, and what it returned."""
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def compose_both(sample: int, seed: int) -> tuple[int, float, float]:
    """The number of runs, and the seconds per configuration: ours over all, Hydra's over a sample."""
    with composer() as ours:
        jobs = [list(job) for job in ours.jobs(STUDY)]
        seconds, configs = timed(lambda: [ours.compose(job) for job in jobs])
        chosen = random.Random(seed).sample(range(len(jobs)), sample)
        theirs, sampled = timed(lambda: [hydra_compose("config", overrides=jobs[place]) for place in chosen])
    for place, config in zip(chosen, sampled, strict=True):
        assert OmegaConf.to_container(config, resolve=True) == configs[place], jobs[place]
    return len(jobs), seconds / len(jobs), theirs / sample


def fill(results_dir: Path) -> None:
    """A store in which every run of the study is done."""
    store = Store(results_dir)
    with composer() as ours:
        for job in ours.jobs(STUDY):
            experiment = Experiment.from_dict(ours.compose(list(job)))
            folder = store.run(experiment.run_id)
            folder.create()
            values = dict.fromkeys(("test_accuracy", "validation_accuracy", "train_accuracy"), 0.5)
            counts = {"rounds": 4, "steps": 1000, "wall_seconds": 30.0}
            about = {"versions": {}, "git_commit": None, "device": "made up", "config": experiment.to_dict()}
            write_json(folder.path / "result.json", {"run_id": experiment.run_id, **values, **counts, **about})
            write_json(folder.path / "status.json", {"state": "done", "attempt": 1})


def command_seconds(name: str, results_dir: Path, rounds: int) -> float:
    """The median time of a sub-command in a fresh process."""
    words = [sys.executable, "-m", "reinit_bench", name, *STUDY, f"results_dir={results_dir}"]
    return statistics.median(
        timed(lambda: subprocess.run(words, check=True, capture_output=True))[0] for _ in range(rounds)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=60, help="configurations that Hydra composes")
    parser.add_argument("--rounds", type=int, default=3, help="times that each command is run")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    given = parser.parse_args()
    count, ours, theirs = compose_both(given.sample, given.seed)
    print(f"runs of study=paper                 {count:,}")
    print(f"a configuration, Hydra's compose    {theirs * 1e3:.2f} ms ({given.sample} sampled, all equal to ours)")
    print(f"a configuration, ours               {ours * 1e3:.3f} ms")
    print(f"ratio                               {theirs / ours:.0f}x (target: {TARGET_RATIO:.0f}x)")
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder))
        for name in ("plan", "status"):
            seconds = command_seconds(name, Path(folder), given.rounds)
            target = f" (target: {TARGET_STATUS_SECONDS:.0f} s)" if name == "status" else ""
            print(f"reinit-bench {name:<22} {seconds:.2f} s{target}")


if __name__ == "__main__":
    main()
