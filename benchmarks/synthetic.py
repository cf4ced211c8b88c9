"""Runs per second of Table 1: our sweep against a plain PyTorch loop that trains one network after another.

    python benchmarks/synthetic.py [RUNS]

Both train LW at alpha 1 with N = 3 (9 rounds of 200 full-batch steps) and evaluate after each round. The plain loop is
what one would write by hand: `nn.Sequential`, `torch.optim.SGD`, autograd, as many threads as torch uses; it writes no
files. Ours is the whole sweep: starting the workers, training, evaluating, writing each run's files.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from pathlib import Path

import latest
import torch
from torch import Tensor, nn
from torch.nn import functional

from reinit_bench.cli.compose import composer
from reinit_bench.sweep.local import make_pool
from reinit_bench.sweep.plan import make_plan
from reinit_bench.sweep.slurm.queue import queued_runs

PLAIN_RUNS = 5
HIDDEN, CLASSES, FEATURES = 32, 8, 128


class Scaled(nn.Module):
    """LW's lambda layer: (x - mean) / std."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.std = torch.zeros(()), torch.ones(())

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


def draw(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Section 1.1's data at alpha 1."""
    labels = torch.randint(CLASSES, (count,), generator=generator)
    inputs = torch.randn(count, FEATURES, generator=generator)
    inputs[:, :3] = 2.0 * ((labels[:, None] >> torch.tensor([2, 1, 0])) & 1) - 1.0
    return inputs, labels


def plain_run(seed: int) -> float:
    """One LW run by hand; returns its test accuracy."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    (inputs, labels), (test, answers) = draw(256, generator), draw(10_000, generator)
    sizes = (FEATURES, HIDDEN, HIDDEN, CLASSES)
    dense = [nn.Linear(below, above) for below, above in itertools.pairwise(sizes)]
    lambdas = [Scaled(), Scaled()]
    net = nn.Sequential(dense[0], nn.ReLU(), lambdas[0], dense[1], nn.ReLU(), lambdas[1], dense[2])
    for layer in dense:
        restart(layer)
    norms = [layer.weight.norm().item() for layer in dense]
    accuracy = 0.0
    for block in (1, 1, 1, 2, 2, 2, 3, 3, 3):
        reinitialize(net, dense, lambdas, norms, block, inputs)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
        for _ in range(200):
            optimizer.zero_grad()
            functional.cross_entropy(net(inputs), labels).backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = (net(test).argmax(1) == answers).double().mean().item()
    return accuracy


def restart(layer: nn.Linear) -> None:
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)


@torch.no_grad()
def reinitialize(
    net: nn.Sequential, dense: list[nn.Linear], lambdas: list[Scaled], norms: list[float], block: int, inputs: Tensor
) -> None:
    """Algorithm 1, lines 4 to 12; no lambda layer after the head."""
    for layer, norm in zip(dense[:block], norms, strict=False):
        layer.weight.mul_(norm / layer.weight.norm())
    if block < len(dense):
        output = net[: 3 * block - 1](inputs)
        lambdas[block - 1].mean, lambdas[block - 1].std = output.mean(), output.std(correction=0)
    for layer in dense[block:]:
        restart(layer)


def ours(runs: int, results_dir: Path) -> tuple[float, float]:
    """Seconds of a sweep of `runs` seeds, and its mean test accuracy."""
    given = [
        "dataset=synthetic",
        "method=lw",
        "method.repeats=3",
        "logger=none",
        "device=cpu",
        f"results_dir={results_dir}",
        f"seed={','.join(map(str, range(runs)))}",
    ]
    accuracies: list[float] = []
    started = time.perf_counter()
    with composer() as compose:
        plan = make_plan(compose.planned(compose.jobs(given)), queued_runs)
    make_pool(list(plan.runs), None, None).run(
        plan.runs, lambda run, kind, values: accuracies.append(values["test_accuracy"]) if kind == "done" else None
    )
    assert len(accuracies) == runs, "a run of the sweep failed"
    return time.perf_counter() - started, sum(accuracies) / runs


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    plain_run(0)  # warm up
    started = time.perf_counter()
    by_hand = [plain_run(seed) for seed in range(PLAIN_RUNS)]
    plain = PLAIN_RUNS / (time.perf_counter() - started)
    with tempfile.TemporaryDirectory() as folder:
        seconds, accuracy = ours(runs, Path(folder))
    print(f"plain loop   {plain:6.2f} runs/s  ({PLAIN_RUNS} runs, test {100 * sum(by_hand) / PLAIN_RUNS:.1f}%)")
    print(f"reinit-bench {runs / seconds:6.2f} runs/s  ({runs} runs in {seconds:.1f} s, test {100 * accuracy:.1f}%)")
    print(f"ratio        {runs / seconds / plain:6.2f}")
    name = f"synthetic study, {runs} seeds of LW"
    latest.merge([latest.row(name, runs / seconds, plain, runs / seconds / plain, None, "runs/s")])


if __name__ == "__main__":
    main()
