"""A sweep of tiny runs, whose start takes longer than their training, against a plain Python process per run.

    python benchmarks/tiny.py [--runs 12] [--max-steps 10] [--pairs 2]

Ours is one `reinit-bench -m ... seed=0,1,...`: 200 digits at 16x16, scnn at a quarter of its width, LW's four rounds of
`max_steps` steps each, on two workers of one thread. It includes what a run leaves behind: its lease, checkpoints,
curves, diagnostics and sealed result. The baseline is what a researcher's shell loop does, two processes of one thread
at a time: each imports torch and scikit-learn, trains such a network with torch's own layers for as many steps (batches
of 32, SGD with momentum; no resets, no augmentation, no validation), prints its test accuracy and writes nothing.
Both in turn, `pairs` times; wall time, medians. About a minute on two cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import latest

TARGET = 2.0
TOGETHER = 2
RUN = ("dataset.train_examples=200", "image_size=16", "model.width=0.25", "trainer=quick", "method=lw")
CHOSEN = ("logger=none", "device=cpu", f"hydra.launcher.workers={TOGETHER}", "hydra.launcher.threads=1")

PLAIN = """
import sys
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional
seed, steps = map(int, sys.argv[1:])
torch.set_num_threads(1)
torch.manual_seed(seed)
scans = load_digits()
images = torch.tensor(scans.images / 16, dtype=torch.float32)[:, None]
images, labels = functional.interpolate(images, size=(16, 16), mode="bilinear"), torch.tensor(scans.target)
order = torch.randperm(len(labels))
train, test = order[:200], order[-500:]
layers, width = [], 1
for number, channels in enumerate((8, 8, 16, 16)):
    layers += [nn.Conv2d(width, channels, 3, padding=1), nn.GroupNorm(1, channels), nn.ReLU()]
    layers += [nn.MaxPool2d(2)] * (number % 2)
    width = channels
layers += [nn.Flatten(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)]
net = nn.Sequential(*layers)
optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
for _ in range(steps):
    batch = train[torch.randint(200, (32,))]
    optimizer.zero_grad()
    functional.cross_entropy(net(images[batch]), labels[batch]).backward()
    optimizer.step()
with torch.no_grad():
    print((net(images[test]).argmax(1) == labels[test]).float().mean().item())
"""


def seconds(words: list[str], environment: dict[str, str]) -> float:
    """Wall time of one Python process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True, env=environment)
    return time.perf_counter() - began


def ours(runs: int, steps: int) -> float:
    """Wall time of the sweep."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    with tempfile.TemporaryDirectory() as folder:
        seeds = ",".join(map(str, range(runs)))
        words = [*RUN, *CHOSEN, f"trainer.max_steps={steps}", f"seed={seeds}", f"results_dir={folder}"]
        elapsed = seconds(["-m", "reinit_bench", "-m", *words], environment)
        assert len(list(Path(folder).glob("runs/*/result.json"))) == runs
    return elapsed


def plain(runs: int, steps: int) -> float:
    """Wall time of the plain processes, with as many steps as all of LW's four rounds."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    with ThreadPoolExecutor(TOGETHER) as pool:
        list(pool.map(lambda seed: seconds(["-c", PLAIN, str(seed), str(4 * steps)], environment), range(runs)))
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--max-steps", type=int, default=10, help="of each of the four rounds")
    parser.add_argument("--pairs", type=int, default=2, help="how often both are measured")
    given = parser.parse_args()
    times = [(ours(given.runs, given.max_steps), plain(given.runs, given.max_steps)) for _ in range(given.pairs)]
    rates = [60 * given.runs / statistics.median(kind) for kind in zip(*times, strict=True)]
    name = f"{given.runs} tiny runs in one sweep against a plain process per run"
    latest.merge([latest.row(name, rates[0], rates[1], rates[0] / rates[1], TARGET, "runs/min")])


if __name__ == "__main__":
    main()
