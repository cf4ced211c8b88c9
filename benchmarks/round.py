"""What a whole round costs over its bare steps: data, validation, checkpoints, logging, in one run.

    python benchmarks/round.py [--model scnn] [--image-size 32] [--batch 256] [--epochs 60] [--checkpoint-every 50]
                               [--bare 1]

One run of digits through `run_experiment`, like any run, of 60 epochs: with the paper's trainer no round can converge
sooner (`trainer.patience_epochs`). Between its steps the clock is stopped now and then for a bare step: forward,
backward and update of a second network on one batch that is ready in memory. Both thus see the same machine; one bare
step for every four of the run's is quick but noisy, `--bare 4` slow and less so. The whole round is everything until
its result is available, including the evaluation of the training and test splits at its end; validation alone must cost
about the share of the validation split times a third of a step (a forward pass), which is printed too. The second row
needs no other network: the share of the whole that is the run's own forward and backward passes and updates.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import latest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from reinit_bench.cli.compose import composer
from reinit_bench.core.config import Execution, Experiment
from reinit_bench.data.task import Task, load_task
from reinit_bench.run.experiment import Components, build_network, run_experiment
from reinit_bench.training.observer import EpochEnd, Observer, RoundEnd
from reinit_bench.training.optimizer import make_optimizer
from reinit_bench.training.step import TrainingStep

TARGET = 0.95
EXAMPLES = 1138
"""A tenth is held out; the rest fills whole batches of 256, like those of the bare steps."""
EVERY = 4
"""Steps of the run between two breaks."""


class Bare:
    """A second network and one batch, always the same."""

    def __init__(self, experiment: Experiment, task: Task) -> None:
        self.net = build_network(Components.of(experiment, Execution(device="cpu")), experiment, task)
        size = min(experiment.trainer.batch_size, len(task.train))
        self.inputs, self.labels = task.train_batch(torch.arange(size), torch.Generator())
        self.optimizer = make_optimizer(self.net, experiment.trainer)
        self.step = TrainingStep(self.net, experiment.precision, size)

    def take(self) -> None:
        """One step."""
        self.optimizer.zero_grad(set_to_none=True)
        self.step(self.inputs, self.labels)
        self.optimizer.step()


class Break(Observer):
    """Stops the clock after every few steps for bare ones."""

    def __init__(self, bare: Bare, examples: int, at_once: int) -> None:
        self.bare, self.examples, self.at_once = bare, examples, at_once
        self.bare_times: list[float] = []
        self.out = 0.0
        self.started = self.whole = 0.0
        self.trained = 0
        self.in_steps, self.step_began = 0.0, 0.0
        self.resting = False

    @contextmanager
    def timing(self) -> Iterator[None]:
        """Add up the run's own forward and backward passes and updates."""
        real = TrainingStep.__call__

        def call(step: TrainingStep, inputs: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            self.step_began = time.perf_counter()
            return real(step, inputs, labels)

        def updated(*_: object) -> None:
            if self.started and not self.resting:
                self.in_steps += time.perf_counter() - self.step_began

        TrainingStep.__call__ = call
        hook = register_optimizer_step_post_hook(updated)
        yield
        hook.remove()
        TrainingStep.__call__ = real

    def step_done(self, round_index: int, step: int) -> None:
        if not self.started or step % EVERY:
            return
        began = time.perf_counter()
        self.resting = True
        for _ in range(self.at_once):
            before = time.perf_counter()
            self.bare.take()
            self.bare_times.append(time.perf_counter() - before)
        self.resting = False
        self.out += time.perf_counter() - began

    def epoch_ended(self, event: EpochEnd) -> None:
        if self.started:
            self.trained += self.examples
        else:  # the first epoch loads kernels
            self.started = time.perf_counter()

    def round_ended(self, event: RoundEnd) -> None:
        self.whole = time.perf_counter() - self.started - self.out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="scnn")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--checkpoint-every", type=int, default=50)
    parser.add_argument("--bare", type=int, default=1, help=f"bare steps after every {EVERY} of the run")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, composer() as compose:
        words = [
            f"model={arguments.model}",
            "method=bl",
            f"dataset.train_examples={EXAMPLES}",
            f"image_size={arguments.image_size}",
            f"trainer.batch_size={arguments.batch}",
            f"trainer.checkpoint_every={arguments.checkpoint_every}",
            "trainer.max_steps=1",
        ]
        probe = Experiment.from_dict(compose.compose(words))
        task = load_task(probe, torch.device("cpu"))
        bare = Bare(probe, task)
        per_epoch = -(-len(task.train) // arguments.batch)
        blocks = bare.net.num_blocks
        words[-1] = f"trainer.max_steps={-(-arguments.epochs * per_epoch // blocks)}"
        experiment = Experiment.from_dict(compose.compose([*words, f"trainer.patience_epochs={10 * arguments.epochs}"]))
        watch = Break(bare, len(task.train), arguments.bare)
        bare.take()
        with watch.timing():
            run_experiment(experiment, Execution(results_dir=Path(folder), device="cpu"), observer=watch)
    # The mean, as for the whole round: other load on the machine falls on both alike.
    bare_rate = len(bare.labels) / statistics.fmean(watch.bare_times)
    whole_rate = watch.trained / watch.whole
    title = f"{arguments.model}, {arguments.image_size}x{arguments.image_size}, batch {arguments.batch}, one thread"
    share = len(task.validation) / len(task.train) / 3
    print(f"{title}: {watch.trained} images in {watch.whole:.1f} s; validation alone costs about {share:.1%}")
    ratio = whole_rate / bare_rate
    within = watch.in_steps / watch.whole
    latest.merge(
        [
            latest.row(f"whole round over bare steps: {title}", whole_rate, bare_rate, ratio, TARGET, "images/s"),
            latest.row(
                f"share of a whole round that is its steps: {title}", watch.in_steps, watch.whole, within, TARGET, "s"
            ),
        ]
    )


if __name__ == "__main__":
    main()
