"""Training speed: images per second of our training loop and of a plain PyTorch loop, compared in one run.

    python benchmarks/step.py [--models scnn,mobilenet] [--image-size 32] [--batch 256] [--epochs 2] [--pairs 3]

All train the same network from the same weights on the same digits on two CPU cores, and validate after every epoch:

- plain: what a researcher would write: torch's own modules, NCHW, fp32, eager; images resized, converted to tensors and
  standardized by torchvision's transforms in a shuffling DataLoader with two workers; `loss.item()` every step; one
  process with torch's default threads.
- ours: `train_round`, as every experiment runs it, resizing and standardizing on the fly; one process, two threads.
- two processes: of one thread each, as a sweep runs them (`hydra/launcher=local`).

Each is measured in fresh processes.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import paired

if TYPE_CHECKING:
    from torch import nn

    from reinit_bench.core.config import Experiment
    from reinit_bench.data.task import Task

CORES = 2
PASSED_ON = ("image_size", "batch", "epochs", "precision")
TARGETS = {"scnn": 2.5, "mobilenet": 1.5}


def measure(arguments: argparse.Namespace) -> float:
    """Images per second of one process; the first epoch, which loads kernels, does not count."""
    import torch

    from reinit_bench.cli.compose import composer
    from reinit_bench.core.config import Execution, Experiment
    from reinit_bench.data.task import load_task
    from reinit_bench.run.experiment import Components, build_network
    from reinit_bench.training.device import set_up_arithmetic

    words = [f"model={arguments.model}", f"image_size={arguments.image_size}", f"precision={arguments.precision}"]
    with composer() as compose:
        config = compose.compose([*words, f"trainer.batch_size={arguments.batch}", "trainer.max_steps=1000000"])
    experiment, device = Experiment.from_dict(config), torch.device("cpu")
    if arguments.measure == "ours":
        torch.set_num_threads(arguments.threads)
        set_up_arithmetic(device)
    task = load_task(experiment, device)
    net = build_network(Components.of(experiment, Execution(device="cpu")), experiment, task)
    ends = ours(experiment, task, net, arguments.epochs) if arguments.measure == "ours" else plain(task, net, arguments)
    return arguments.epochs * len(task.train) / (ends[-1] - ends[0])


def ours(experiment: Experiment, task: Task, net: Any, epochs: int) -> list[float]:
    """When each epoch of `train_round` ended."""
    from reinit_bench.core.rounds import Round
    from reinit_bench.training.interrupt import Interrupt, Interrupted
    from reinit_bench.training.loop import train_round
    from reinit_bench.training.round import Callbacks

    ends: list[float] = []
    interrupt = Interrupt()

    def epoch_ended(event: object) -> None:
        ends.append(time.perf_counter())
        if len(ends) > epochs:
            interrupt.request("all is measured")

    callbacks = Callbacks(interrupt=interrupt, epoch_ended=epoch_ended)
    whole = Round(index=1, block=0, repeat=1, max_steps=10**6)
    with contextlib.suppress(Interrupted):
        train_round(net, task, whole, experiment.trainer, seed=0, precision=experiment.precision, callbacks=callbacks)
    return ends


def plain(task: Task, net: nn.Module, arguments: argparse.Namespace) -> list[float]:
    """When each epoch of a plain loop ended."""
    import torch
    from plain import plain_epochs, plain_twin

    twin = plain_twin(net)
    images, _ = next(task.batches("validation"))
    with torch.no_grad():
        torch.testing.assert_close(twin(images.contiguous()), net(images), rtol=1e-3, atol=1e-3)
    epochs = plain_epochs(task, twin, arguments.batch)
    return [time.perf_counter() for _ in itertools.islice(epochs, arguments.epochs + 1)]


def rate(arguments: argparse.Namespace, model: str, kind: str, processes: int) -> float:
    """Images per second of `processes` processes that share the cores, all together."""
    words = [sys.executable, __file__, f"--model={model}", f"--measure={kind}", f"--threads={CORES // processes}"]
    words += [f"--{name.replace('_', '-')}={getattr(arguments, name)}" for name in PASSED_ON]
    started = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    answers = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        sys.exit(f"measuring {kind} failed")
    return sum(float(answer.splitlines()[-1]) for answer in answers)


def compare(arguments: argparse.Namespace, model: str) -> list[paired.Row]:
    """Measure one model in turns; the rows for the table."""
    title = f"{model}, {arguments.image_size}x{arguments.image_size}, batch {arguments.batch}, {arguments.precision}"
    ways = (("ours", 1), ("ours", CORES), ("plain", 1))
    turns = [[rate(arguments, model, *way) for way in ways] for _ in range(arguments.pairs)]
    one, two = ([(turn[way], turn[2]) for turn in turns] for way in (0, 1))
    return [
        paired.row_of(f"step, one process: {title}", one, "images/s"),
        paired.row_of(f"step, two processes: {title}", two, "images/s", target=TARGETS.get(model)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="scnn,mobilenet", help="comma-separated")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    for name, kind in (("model", str), ("measure", str), ("threads", int)):
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(measure(arguments))
        return
    for model in arguments.models.split(","):
        paired.keep(compare(arguments, model))


if __name__ == "__main__":
    main()
