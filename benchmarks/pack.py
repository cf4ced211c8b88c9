"""A sweep of 12 runs in one command against a process per run, one after another.

    python benchmarks/pack.py [--runs 12] [--max-steps 40] [--alone 3]

Both run the same experiments (`study=demo`'s LW: 200 digits, scnn, four rounds of at most `max_steps` steps) through
the command line: ours is one `reinit-bench -m ... seed=0,1,...` (two workers of one thread, which start and load the
data once), the baseline one `reinit-bench ... seed=N` after the other, each with two threads. Only the first `alone` of
those are run; their mean stands for all.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time

import latest

TARGET = 2.0
DEMO = ("dataset.train_examples=200", "image_size=16", "augmentation=mild", "trainer=quick")


def seconds(*words: str) -> float:
    """Wall time of one command line."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "reinit_bench", *words], check=True, capture_output=True, env=environment)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--max-steps", type=int, default=40)
    parser.add_argument("--alone", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        words = [*DEMO, "method=lw", "logger=none", "device=cpu", f"trainer.max_steps={arguments.max_steps}"]
        alone = [seconds(*words, f"results_dir={folder}/alone", f"seed={seed}") for seed in range(arguments.alone)]
        seeds = ",".join(map(str, range(arguments.runs)))
        together = seconds("-m", *words, f"results_dir={folder}/pack", f"seed={seeds}")
    baseline, ours = 60 * arguments.alone / sum(alone), 60 * arguments.runs / together
    name = f"{arguments.runs}-run sweep against a process per run: 200 digits, scnn, lw"
    latest.merge([latest.row(name, ours, baseline, ours / baseline, TARGET, "runs/min")])


if __name__ == "__main__":
    main()
