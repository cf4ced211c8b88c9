"""What the layers in C gain: whole training steps with them and with torch's, in turns.

    python benchmarks/compiled_layers.py [--models scnn,mobilenet,vgg16,resnet50] [--image-size 32] [--batch 256]
        [--steps 5]

The same network with the same weights on the same batch of digits, in fp32 with one thread; steps per second of
processor time, so that other load on the machine counts little. `reinit-bench doctor` says whether they can be used.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Collection

import paired
import torch

from reinit_bench.cli.compose import composer
from reinit_bench.core.config import Execution, Experiment
from reinit_bench.data.task import load_task
from reinit_bench.kernels import library
from reinit_bench.kernels.available import KINDS, obstacle
from reinit_bench.run.experiment import Components, build_network
from reinit_bench.training.device import set_up_arithmetic
from reinit_bench.training.step import TrainingStep


def compare(model: str, arguments: argparse.Namespace) -> paired.Row:
    """Steps with the layers in C and with torch's."""
    with composer() as compose:
        words = [f"model={model}", f"image_size={arguments.image_size}", f"trainer.batch_size={arguments.batch}"]
        experiment = Experiment.from_dict(compose.compose(words))
    task = load_task(experiment, torch.device("cpu"))
    net = build_network(Components.of(experiment, Execution(device="cpu")), experiment, task)
    inputs, labels = task.plain_batch(torch.arange(arguments.batch))
    step = TrainingStep(net, "fp32", arguments.batch)

    def rate(kinds: Collection[str]) -> float:
        library.use(kinds)
        started = time.process_time()
        step(inputs, labels)
        return 1 / (time.process_time() - started)

    title = f"layers in C: {model}, {arguments.image_size}x{arguments.image_size}, batch {arguments.batch}, one thread"
    return paired.in_turns(title, lambda: rate(KINDS), lambda: rate(()), arguments.steps, "steps/s", warm_ups=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="scnn,mobilenet,vgg16,resnet50", help="comma-separated")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=5)
    arguments = parser.parse_args()
    if obstacle() is not None:
        parser.exit(1, f"layers are torch's here: {obstacle()}\n")
    torch.set_num_threads(1)
    set_up_arithmetic(torch.device("cpu"))
    paired.keep([compare(model, arguments) for model in arguments.models.split(",")])


if __name__ == "__main__":
    main()
