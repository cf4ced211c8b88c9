"""Training speed: images per second of our training loop and of a plain PyTorch loop, compared in one run.

    python benchmarks/step.py [--models scnn,mobilenet] [--image-size 32] [--batch 256] [--epochs 2] [--pairs 3]

All train the same network from the same weights on the same digits on two CPU cores, and validate after every epoch:

- plain: what a researcher would write: torch's own modules, NCHW, fp32, eager; images resized, converted to tensors and
  standardized by torchvision's transforms in a shuffling DataLoader with two workers; `loss.item()` every step; one
  process with torch's default threads.
- ours: `train_round`, as every experiment runs it, resizing and standardizing on the fly; one process, two threads.
- pool: two processes of one thread each, as a sweep runs them (`hydra/launcher=local`).

Each is measured in fresh processes, in turns, so that a drifting machine affects all alike; medians of the rates and of
the ratios of each turn are quoted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

import latest

CORES = 2
PASSED_ON = ("image-size", "batch", "epochs", "precision")
TARGETS = {"scnn": 2.5, "mobilenet": 1.5}


def measure(arguments: argparse.Namespace, kind: str, threads: int | None) -> None:
    """Train as `kind` does and print images per second; the body of a measuring process."""
    import torch

    from reinit_bench.core.config import Execution
    from reinit_bench.data.task import load_task
    from reinit_bench.run.experiment import Components, build_network
    from reinit_bench.training.device import set_up_arithmetic

    if threads is not None:
        torch.set_num_threads(threads)
    experiment = experiment_of(arguments)
    device = torch.device("cpu")
    if kind == "ours":
        set_up_arithmetic(device)
    task = load_task(experiment, device)
    net = build_network(Components.of(experiment, Execution(device="cpu")), experiment, task)
    epochs = ours(experiment, task, net) if kind == "ours" else plain(task, net, arguments.batch)
    next(epochs)  # the first epoch loads kernels
    started = time.perf_counter()
    for _ in range(arguments.epochs):
        next(epochs)
    print(json.dumps(arguments.epochs * len(task.train) / (time.perf_counter() - started)))


def experiment_of(arguments):
    """The digits experiment that all train."""
    from reinit_bench.cli.compose import composer
    from reinit_bench.core.config import Experiment

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
    from plain import plain_epochs, plain_twin

    twin = plain_twin(net)
    images, _ = next(task.batches("validation"))
    with torch.no_grad():
        torch.testing.assert_close(twin(images.contiguous()), net(images), rtol=1e-3, atol=1e-3)
    return plain_epochs(task, twin, batch)


def ours(experiment, task, net):
    """Epoch after epoch of `train_round`, which runs in a thread and is allowed one epoch at a time."""
    import queue
    import threading

    from reinit_bench.core.rounds import Round
    from reinit_bench.training.loop import Callbacks, train_round

    go, ended = queue.Queue(), queue.Queue()

    def epoch_ended(event) -> None:
        ended.put(event)
        go.get()

    options = {"seed": 0, "precision": experiment.precision, "callbacks": Callbacks(epoch_ended=epoch_ended)}
    whole = Round(index=1, block=0, repeat=1, max_steps=10**6)
    work = threading.Thread(
        target=train_round, args=(net, task, whole, experiment.trainer), kwargs=options, daemon=True
    )
    work.start()
    while True:
        ended.get()
        yield
        go.put(None)


def run(arguments: argparse.Namespace, model: str, kind: str, processes: int) -> float:
    """Images per second of `processes` processes that share the cores, all together."""
    words = [sys.executable, __file__, "--model", model, "--measure", kind]
    words += [f"--{name}={getattr(arguments, name.replace('-', '_'))}" for name in PASSED_ON]
    if kind == "ours":
        words += ["--threads", str(CORES // processes)]
    started = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    answers = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        sys.exit(f"measuring {kind} failed")
    return sum(json.loads(answer.splitlines()[-1]) for answer in answers)


def compare(arguments: argparse.Namespace, model: str) -> list[dict]:
    """Measure one model in turns; returns the rows for the table."""
    title = f"{model}, {arguments.image_size}x{arguments.image_size}, batch {arguments.batch}, {arguments.precision}"
    print(f"{title}, {CORES} cores; images/s")
    turns = []
    for _ in range(arguments.pairs):
        turn = (
            run(arguments, model, "plain", 1),
            run(arguments, model, "ours", 1),
            run(arguments, model, "ours", CORES),
        )
        turns.append((*turn, turn[1] / turn[0], turn[2] / turn[0]))
        print(
            f"  plain {turn[0]:.0f}  ours {turn[1]:.0f} ({turns[-1][3]:.2f}x)  pool {turn[2]:.0f} ({turns[-1][4]:.2f}x)"
        )
    base, one, pool, ratio, pool_ratio = (statistics.median(column) for column in zip(*turns, strict=True))
    return [
        latest.row(f"step, one process: {title}", one, base, ratio, None, "images/s"),
        latest.row(f"step, two processes: {title}", pool, base, pool_ratio, TARGETS.get(model), "images/s"),
    ]


def main() -> None:
    """Print a line per turn, and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="scnn,mobilenet", help="comma-separated")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--model", default="scnn", help=argparse.SUPPRESS)
    parser.add_argument("--measure", choices=("ours", "plain"), help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments, arguments.measure, arguments.threads)
        return
    latest.merge([row for model in arguments.models.split(",") for row in compare(arguments, model)])


if __name__ == "__main__":
    main()
