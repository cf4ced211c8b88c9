"""What a step costs under each condition, beside a plain PyTorch loop of the same.

    python benchmarks/conditions.py [--steps 20] [--rounds 4]

Digits at 32x32, scnn, batches of 64, one thread. Plain: torch's own modules in NCHW, a `DataLoader` over tensors that
are resized and standardized beforehand, torch's optimizer and scheduler. Ours: `train_round`, as every run has it. Both
train from the same weights, a round of `--steps` steps each in turns; the rows compare steps per second of processor
time, round by round, so that other load on the machine counts little.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator

import latest
import torch
from plain import plain_twin
from torch import nn
from torch.nn import functional

from reinit_bench.cli.compose import Composer, composer
from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.rounds import Round
from reinit_bench.data.task import Task, load_task
from reinit_bench.run.experiment import Components, build_network
from reinit_bench.training.device import set_up_arithmetic
from reinit_bench.training.loop import train_round

CONDITIONS = {
    "sgd": (),
    "adamw, cosine": ("trainer.optimizer=adamw", "trainer.schedule=cosine", "trainer.warmup_steps=3"),
    "sam": ("trainer.optimizer=sam",),
    "BatchNorm": ("model.norm=batch",),
    "no norm": ("model.norm=none",),
}
TARGET = 1.0


def arms(compose: Composer, words: tuple[str, ...], steps: int) -> tuple[Callable[[], float], Callable[[], float]]:
    """A round of ours and one of a plain loop; each returns steps per second of processor time."""
    fixed = ("image_size=32", "trainer.batch_size=64", f"trainer.max_steps={steps}", "trainer.lr=0.001")
    last = ("trainer.validation_fraction=0", "trainer.round_weights=last", "method=restart")
    experiment = Experiment.from_dict(compose.compose([*fixed, *last, *words]))
    task = load_task(experiment, torch.device("cpu"))
    net = build_network(Components.of(experiment, Execution(device="cpu")), experiment, task)
    start = copy.deepcopy(net)
    whole = Round(index=1, block=0, repeat=1, max_steps=steps)

    def ours() -> float:
        net.load_state_dict(start.state_dict())
        began = time.process_time()
        train_round(net, task, whole, experiment.trainer, seed=0)
        return steps / (time.process_time() - began)

    def plain() -> float:
        twin = plain_twin(start)
        loader = batches(task)
        began = time.process_time()
        plain_round(twin, loader, experiment, steps)
        evaluate(twin, task)
        return steps / (time.process_time() - began)

    return ours, plain


def batches(task: Task) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless shuffled batches of ready tensors."""
    parts = list(task.batches("train"))
    data = torch.utils.data.TensorDataset(
        torch.cat([inputs for inputs, _ in parts]).contiguous(), torch.cat([labels for _, labels in parts])
    )
    loader = torch.utils.data.DataLoader(data, batch_size=64, shuffle=True)
    while True:
        yield from loader


def plain_round(
    net: nn.Module, loader: Iterator[tuple[torch.Tensor, torch.Tensor]], experiment: Experiment, steps: int
) -> None:
    """A loop as a researcher writes it."""
    trainer = experiment.trainer
    if trainer.optimizer == "adamw":
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(net.parameters(), lr=0.001, weight_decay=1e-5)
    else:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9, weight_decay=2e-5)
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / 3, total_iters=3)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps - 3))
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm, cosine], [3])
    net.train()
    for _ in range(steps):
        inputs, labels = next(loader)
        optimizer.zero_grad()
        loss = functional.cross_entropy(net(inputs), labels)
        loss.backward()
        if trainer.optimizer == "sam":
            plain_sam(net, inputs, labels)
        optimizer.step()
        if trainer.schedule == "cosine":
            schedule.step()
        loss.item()


def plain_sam(net: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> None:
    """SAM's second gradient."""
    moved = [value for value in net.parameters() if value.grad is not None]
    norm = torch.stack([value.grad.norm() for value in moved if value.grad is not None]).norm()
    steps = [value.grad * (0.05 / norm) for value in moved if value.grad is not None]
    with torch.no_grad():
        for value, step in zip(moved, steps, strict=True):
            value.add_(step)
    net.zero_grad()
    functional.cross_entropy(net(inputs), labels).backward()
    with torch.no_grad():
        for value, step in zip(moved, steps, strict=True):
            value.sub_(step)


@torch.no_grad()
def evaluate(net: nn.Module, task: Task) -> None:
    """What a round of ours does at its end: training and test split."""
    net.eval()
    for split in ("train", "test"):
        for inputs, labels in task.batches(split):
            (net(inputs.contiguous()).argmax(1) == labels).sum().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=4)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    set_up_arithmetic(torch.device("cpu"))
    with composer() as compose:
        for name, words in CONDITIONS.items():
            ours, plain = arms(compose, words, arguments.steps)
            pairs = [(ours(), plain()) for _ in range(arguments.rounds + 1)][1:]  # the first loads kernels
            rates = [statistics.median(rate) for rate in zip(*pairs, strict=True)]
            ratio = statistics.median(one / other for one, other in pairs)
            latest.merge([latest.row(f"step under {name}, over a plain loop", *rates, ratio, TARGET, "steps/s")])


if __name__ == "__main__":
    main()
