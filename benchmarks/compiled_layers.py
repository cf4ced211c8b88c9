"""What the layers in C gain: whole training steps with them and with torch's, in turns.

    python benchmarks/compiled_layers.py [--models scnn,mobilenet,vgg16,resnet50] [--image-size 32] [--batch 256]
        [--threads 1] [--steps 5]

The same network with the same weights on the same batch of digits, in fp32. With one thread, steps per second of
processor time, so that other load on the machine counts little; with more, of time. Medians, and the median of the
ratios of each turn. `reinit-bench doctor` says which layers are used here.
"""

from __future__ import annotations

import argparse
import statistics
import time

import latest
import torch

from reinit_bench.cli.compose import composer
from reinit_bench.core.config import Execution, Experiment
from reinit_bench.data.task import load_task
from reinit_bench.kernels import library
from reinit_bench.kernels.available import KINDS
from reinit_bench.run.experiment import Components, build_network
from reinit_bench.training.device import set_up_arithmetic
from reinit_bench.training.step import TrainingStep


def steps_per_second(model: str, arguments: argparse.Namespace) -> list[tuple[float, float]]:
    """With the layers in C and with torch's, in each turn."""
    with composer() as compose:
        words = [f"model={model}", f"image_size={arguments.image_size}", f"trainer.batch_size={arguments.batch}"]
        experiment = Experiment.from_dict(compose.compose(words))
    task = load_task(experiment, torch.device("cpu"))
    net = build_network(Components.of(experiment, Execution(device="cpu")), experiment, task)
    inputs, labels = task.plain_batch(torch.arange(arguments.batch))
    step = TrainingStep(net, "fp32", arguments.batch)
    clock = time.process_time if arguments.threads == 1 else time.perf_counter

    def rate(kinds: tuple[str, ...]) -> float:
        library.use(kinds)
        started = clock()
        step(inputs, labels)
        return 1 / (clock() - started)

    return [(rate(KINDS), rate(())) for _ in range(arguments.steps + 1)][1:]  # the first step allocates its memory


def main() -> None:
    """Print a line per model, and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="scnn,mobilenet,vgg16,resnet50", help="comma-separated")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    set_up_arithmetic(torch.device("cpu"))
    if library.library() is None:
        parser.exit(1, "the layers in C cannot be used here; `reinit-bench doctor` says why\n")
    rows = []
    for model in arguments.models.split(","):
        turns = steps_per_second(model, arguments)
        ours, torchs = (statistics.median(column) for column in zip(*turns, strict=True))
        ratio = statistics.median(turn[0] / turn[1] for turn in turns)
        shape = f"{arguments.image_size}x{arguments.image_size}, batch {arguments.batch}, threads {arguments.threads}"
        rows.append(latest.row(f"layers in C against torch's: {model}, {shape}", ours, torchs, ratio, None, "steps/s"))
    latest.merge(rows)


if __name__ == "__main__":
    main()
