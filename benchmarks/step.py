"""Training speed: images per second of our training loop beside a plain PyTorch loop, in one run.

    python benchmarks/step.py [--model scnn] [--image-size 32] [--batch 256] [--epochs 3] [--pairs 5]

All train the same network from the same weights on the same digits on two CPU cores, and validate after every epoch:

- plain: what a tutorial would have: images resized once and kept as float tensors, a shuffling DataLoader, NCHW, fp32,
  `loss.item()` every step; one process, two threads.
- ours: `train_round`, as every experiment runs it, resizing and standardizing on the fly; one process, two threads.
- pool: two processes of one thread each, as a sweep runs them (`hydra/launcher=local`).

Each is measured in processes of its own, in turn, so that a machine that drifts harms all; medians are quoted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

CORES = 2
TARGETS = {"scnn": 1.5}


def measure(arguments: argparse.Namespace, kind: str, threads: int) -> None:
    """Train as `kind` does and print images per second; the body of a measuring process."""
    import torch

    from reinit_bench.config import Execution
    from reinit_bench.data.task import load_task
    from reinit_bench.experiment import Parts, build_network
    from reinit_bench.training.device import set_up_arithmetic

    torch.set_num_threads(threads)
    experiment = experiment_of(arguments)
    device = torch.device("cpu")
    if kind == "ours":
        set_up_arithmetic(device)
    task = load_task(experiment, device)
    net = build_network(Parts.of(experiment, Execution(device="cpu")), experiment, task)
    epochs = ours(experiment, task, net) if kind == "ours" else plain(task, net, arguments.batch)
    next(epochs)  # the first epoch loads kernels
    started = time.perf_counter()
    for _ in range(arguments.epochs):
        next(epochs)
    print(json.dumps(arguments.epochs * len(task.train) / (time.perf_counter() - started)))


def experiment_of(arguments):
    """The digits experiment that all train."""
    from reinit_bench.compose import composer
    from reinit_bench.config import Experiment

    with composer() as compose:
        config = compose.compose(
            [
                f"model={arguments.model}",
                f"image_size={arguments.image_size}",
                f"trainer.batch_size={arguments.batch}",
                f"precision={arguments.precision}",
                "trainer.max_steps=1000000",
            ]
        )
    return Experiment.from_dict(config)


def plain(task, net, batch):
    """Epoch after epoch of a plain loop."""
    import torch
    from torch.nn import functional
    from torch.utils.data import DataLoader, TensorDataset

    net = net.to(memory_format=torch.contiguous_format)
    images = torch.cat([inputs for inputs, _ in task.batches("train")]).contiguous()
    loader = DataLoader(TensorDataset(images, task.train.labels), batch_size=batch, shuffle=True)
    held_out = torch.cat([inputs for inputs, _ in task.batches("validation")]).contiguous()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.003, momentum=0.9, weight_decay=1e-5)
    while True:
        net.train()
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(inputs), labels)
            loss.backward()
            optimizer.step()
            loss.item()
        net.eval()
        with torch.no_grad():
            (net(held_out).argmax(1) == task.validation.labels).float().mean().item()
        yield


def ours(experiment, task, net):
    """Epoch after epoch of `train_round`: it runs in a thread and is let on by one epoch at a time."""
    import queue
    import threading

    from reinit_bench.rounds import Round
    from reinit_bench.training.loop import Surroundings, train_round

    go, ended = queue.Queue(), queue.Queue()

    def epoch_ended(event) -> None:
        ended.put(event)
        go.get()

    around = Surroundings(seed=0, precision=experiment.precision, epoch_ended=epoch_ended)
    whole = Round(index=1, block=0, repeat=1, max_steps=10**6)
    work = threading.Thread(
        target=train_round, args=(net, task, whole, experiment.trainer), kwargs={"surroundings": around}, daemon=True
    )
    work.start()
    while True:
        ended.get()
        yield
        go.put(None)


def run(arguments: argparse.Namespace, kind: str, processes: int) -> float:
    """Images per second of `processes` processes that share the cores, all together."""
    words = [sys.executable, __file__, *sys.argv[1:], "--measure", kind, "--threads", str(CORES // processes)]
    started = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    answers = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        sys.exit(f"measuring {kind} failed")
    return sum(json.loads(answer.splitlines()[-1]) for answer in answers)


def main() -> None:
    """Print a line per pair and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="scnn")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--measure", choices=("ours", "plain"), help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=CORES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments, arguments.measure, arguments.threads)
        return
    size = arguments.image_size
    print(f"{arguments.model}, {size}x{size}, batch {arguments.batch}, {arguments.precision}, {CORES} cores; images/s")
    rows = []
    for _ in range(arguments.pairs):
        row = [run(arguments, "plain", 1), run(arguments, "ours", 1), run(arguments, "ours", CORES)]
        rows.append((*row, row[1] / row[0], row[2] / row[0]))
        print(f"  plain {row[0]:.0f}  ours {row[1]:.0f} ({rows[-1][3]:.2f}x)  pool {row[2]:.0f} ({rows[-1][4]:.2f}x)")
    base, one, pool, ratio, pool_ratio = (statistics.median(column) for column in zip(*rows, strict=True))
    target = f"; target {TARGETS[arguments.model]}x" if arguments.model in TARGETS else ""
    print(f"median: plain {base:.0f}, ours {one:.0f} ({ratio:.2f}x), pool {pool:.0f} ({pool_ratio:.2f}x){target}")


if __name__ == "__main__":
    main()
