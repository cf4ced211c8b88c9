"""Runs an hour on one GPU: one after another, and several at once; compiled, as they are, and with CUDA graphs.

    python benchmarks/gpu_runs.py [--workers 1,2,4,8,16] [--compile auto,none,reduce-overhead] [--steps 500]

The runs have the sizes of `study=verdict`: scnn at half width, 28x28, batches of 32, 500 steps a round, LW, 1,000
images of the embedded digits (or of `--dataset fashion_mnist`, once that is prepared). They go through the pool of the
local launcher, with one CPU thread each, and there are `--runs` for each worker. What counts is the time in which all
workers are at work, each with its first run behind it: starting and compiling are not in it.

The baseline is one worker with `compile=auto`, the default. The last columns say whether results are the same: how many
of the seeds that both trained end with the bits that one worker got with the same `compile`, how many with those of one
worker with `compile=none`, and the largest difference in test accuracy from the latter, in points. The last line is the
setting with the fewest workers that comes within 5% of the best rate. Without a CUDA device this script says so and
exits with 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import latest
import torch

from reinit_bench.cli.compose import composer
from reinit_bench.core.machine import cores, visible_gpus
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.store import Store
from reinit_bench.sweep.plan import PlannedRun, make_plan
from reinit_bench.sweep.pool import Pool
from reinit_bench.sweep.slurm.queue import queued_runs

NEARLY = 0.95
"""A setting with fewer workers is preferred if it comes this near to the best."""
Results = Mapping[int, Mapping[str, Any]]
"""By seed."""


@dataclass(frozen=True)
class Measured:
    """One setting: runs an hour, and each seed's result."""

    compile: str
    workers: int
    rate: float
    results: Results


class Pace:
    """When runs end while all of so many workers are at work."""

    def __init__(self, workers: int) -> None:
        self.workers, self.at_work = workers, 0
        self.ends: list[float] = []
        self.warnings: dict[str, None] = {}

    def hear(self, run: PlannedRun, kind: str, values: Mapping[str, Any]) -> None:
        """What the pool tells."""
        if kind == "started":
            self.at_work += 1
        elif kind == "done":
            # Before this one ended; and once all have been at work, until only the last runs are left.
            if self.at_work == self.workers:
                self.ends.append(time.perf_counter())
            self.at_work -= 1
        elif kind == "warning":
            self.warnings[values["text"]] = None

    def runs_per_hour(self) -> float | None:
        """Over all ends but the first of each worker; None if there are too few."""
        counted = self.ends[self.workers - 1 :]
        return 3600 * (len(counted) - 1) / (counted[-1] - counted[0]) if len(counted) > 1 else None


def planned(arguments: argparse.Namespace, compile_: str, count: int, folder: Path) -> Sequence[PlannedRun]:
    """The runs of one setting; seeds are the same in all settings."""
    words = [
        f"dataset={arguments.dataset}",
        f"dataset.train_examples={arguments.examples}",
        f"image_size={arguments.image_size}",
        f"model={arguments.model}",
        "model.width=0.5",
        "method=lw",
        "trainer.lr=0.01",
        "trainer.weight_decay=0",
        "trainer.schedule=constant",
        "trainer.batch_size=32",
        f"trainer.max_steps={arguments.steps}",
        "trainer.validation_fraction=0",
        "trainer.round_weights=last",
        f"precision={arguments.precision}",
        "diagnostics=false",
        "logger=none",
        f"device={arguments.device}",
        f"compile={compile_}",
        f"results_dir={folder}",
        f"seed=range({count})",
    ]
    with composer() as compose:
        return make_plan(compose.planned(compose.jobs(words)), queued_runs).runs


def measure(arguments: argparse.Namespace, compile_: str, workers: int, gpus: Sequence[str]) -> Measured | str:
    """One setting, or why it could not be measured."""
    pace = Pace(workers)

    with tempfile.TemporaryDirectory() as folder:
        runs = planned(arguments, compile_, workers * arguments.runs, Path(folder))
        try:
            outcome = Pool(workers, 1, gpus).run(runs, pace.hear)
        except ConfigError as error:
            return str(error)
        if outcome.count("done") < len(runs):
            return next(iter(outcome.causes.values()), "interrupted")
        results = {run.experiment.seed: Store(Path(folder)).read_result(run.run_id) or {} for run in runs}
    for text in pace.warnings:
        print(f"warning with compile={compile_}: {text}")
    rate = pace.runs_per_hour()
    if rate is None:
        return "too few runs while all workers were at work; raise --runs"
    return Measured(compile_, workers, rate, results)


def equal_bits(one: Results, other: Results) -> str:
    """`4 of 4`: of the seeds that both have, those that ended with the same weights."""
    shared = one.keys() & other.keys()
    return f"{sum(one[s]['weights_sha256'] == other[s]['weights_sha256'] for s in shared)} of {len(shared)}"


def points_apart(one: Results, other: Results) -> float:
    """The largest difference in test accuracy among the seeds that both have, in points."""
    return max(100 * abs(one[s]["test_accuracy"] - other[s]["test_accuracy"]) for s in one.keys() & other.keys())


def recommended(found: Sequence[Measured]) -> Measured:
    """The fewest workers that come near to the best rate; of these the fastest."""
    best = max(each.rate for each in found)
    near = [each for each in found if each.rate >= NEARLY * best]
    return min(near, key=lambda each: (each.workers, -each.rate))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1,2,4,8,16", help="comma-separated; 1, the baseline, is always measured")
    parser.add_argument(
        "--compile", default="auto,none,reduce-overhead", help="comma-separated; auto and none always are"
    )
    parser.add_argument("--runs", type=int, default=5, help="for each worker")
    parser.add_argument("--steps", type=int, default=500, help="of a round")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--image-size", type=int, default=28)
    parser.add_argument("--model", default="scnn")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--device", default="cuda", help="cpu only to try the script: its figures mean nothing")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("no CUDA device here: this benchmark needs one")
    gpus, label = [], latest.cpu_name()
    if arguments.device == "cuda":
        gpus, label = visible_gpus()[:1], torch.cuda.get_device_name(0)
        print(f"{label}, {cores()} cores")
    else:
        print("on the CPU, to try the script: these are no figures of a GPU")
    title = (
        f"{arguments.model}, {arguments.image_size}x{arguments.image_size}, batch 32, {arguments.steps} steps a round"
    )
    found: list[Measured] = []
    counts = sorted({1, *map(int, arguments.workers.split(","))})
    print(f"{title}\n{'compile':9s} workers  runs/hour   ratio  bits as alone  bits as none  points from none")
    for workers in counts:
        for compile_ in dict.fromkeys(["auto", "none", *arguments.compile.split(",")]):
            one = measure(arguments, compile_, workers, gpus)
            if isinstance(one, str):
                print(f"{compile_:9s} {workers:7d}  not measured: {one}")
                continue
            found.append(one)
            alone, plain = (
                next((each for each in found if (each.compile, each.workers) == (name, 1)), one)
                for name in (compile_, "none")
            )
            print(
                f"{compile_:9s} {workers:7d}  {one.rate:9.0f}  {one.rate / found[0].rate:6.2f}"
                f"  {equal_bits(one.results, alone.results):>13s}  {equal_bits(one.results, plain.results):>12s}"
                f"  {points_apart(one.results, plain.results):16.2f}",
                flush=True,
            )
    if not found:
        sys.exit("nothing could be measured")
    base, best = found[0], recommended(found)
    if arguments.device == "cpu":
        print("recommended: nothing, since this is no GPU")
        return
    print(f"recommended: hydra.launcher.workers_per_gpu={best.workers} compile={best.compile}")
    name = f"runs on one GPU: {title}; compile={best.compile}, {best.workers} at once"
    latest.merge([latest.row(name, best.rate, base.rate, best.rate / base.rate, None, "runs/hour", label)])


if __name__ == "__main__":
    main()
