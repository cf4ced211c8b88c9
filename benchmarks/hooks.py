"""What hooks cost: steps of a run without any beside a loop that knows of none, and each method's hooks beside none.

    python benchmarks/hooks.py [--steps 100] [--rounds 20]

Small steps (digits at 16x16, scnn of quarter width, batches of 32), where any overhead shows most. The arms take turns,
a round of `--steps` steps each, on one thread; each row compares the steps per second of processor time, round by
round, so that other load on the machine counts little.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import latest
import torch

from reinit_bench.cli.compose import Composer, composer
from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.randomness import stream
from reinit_bench.core.rounds import Round
from reinit_bench.data.task import load_task
from reinit_bench.methods.base import begin_round
from reinit_bench.run.experiment import Components, assemble
from reinit_bench.training import loop

TARGET = 0.99
METHODS = ("l2init", "hare", "swr", "ban")
_train_step = loop._RoundTraining._train_step


def without_hooks(self: loop._RoundTraining, positions: torch.Tensor) -> None:
    """A step as it was before there were hooks."""
    seed, index, step = self.seed, self.round.index, self.state.step
    inputs, labels = self.task.train_batch(positions, stream(seed, "augment", index, step))
    self.optimizer.zero_grad(set_to_none=True)
    loss, right = self.step(inputs, labels)
    self.optimizer.step()
    self.unread.append(loss)
    self.correct += right
    self.state.step += 1
    self.state.seen += len(labels)


def arm(compose: Composer, method: str, steps: int) -> Callable[[], float]:
    """One round of `steps` steps of a method, from a fresh network; it returns steps per second."""
    words = ["model.width=0.25", "image_size=16", "trainer.batch_size=32", "trainer.validation_fraction=0"]
    experiment = Experiment.from_dict(
        compose.compose([*words, "trainer.round_weights=last", f"trainer.max_steps={steps}", f"method={method}"])
    )
    components = Components.of(experiment, Execution(device="cpu"))
    task = load_task(experiment, components.device)

    def train() -> float:
        run = assemble(components, experiment, task)
        current = Round(index=2, block=1, repeat=1, max_steps=steps)
        hooks = begin_round(components.method, run.net, run.context(current))
        began = time.process_time()
        loop.train_round(run.net, task, current, experiment.trainer, seed=0, hooks=hooks)
        return steps / (time.process_time() - began)

    return train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with composer() as compose:
        arms = {name: arm(compose, name, arguments.steps) for name in ("restart", *METHODS)}
    rates: dict[str, list[float]] = {name: [] for name in ("none", *arms)}
    for number in range(arguments.rounds + 1):
        for name in rates:
            loop._RoundTraining._train_step = without_hooks if name == "none" else _train_step  # type: ignore[method-assign]
            rate = arms["restart" if name == "none" else name]()
            if number:  # the first round of each warms up
                rates[name].append(rate)
    loop._RoundTraining._train_step = _train_step  # type: ignore[method-assign]
    medians = {name: statistics.median(values) for name, values in rates.items()}
    rows = [
        latest.row(
            "steps of a run without hooks over a loop that knows of none",
            medians["restart"],
            medians["none"],
            statistics.median(a / b for a, b in zip(rates["restart"], rates["none"], strict=True)),
            TARGET,
            "steps/s",
        )
    ]
    for name in METHODS:
        ratio = statistics.median(a / b for a, b in zip(rates[name], rates["restart"], strict=True))
        rows.append(
            latest.row(
                f"steps with {name}'s hooks over steps without",
                medians[name],
                medians["restart"],
                ratio,
                None,
                "steps/s",
            )
        )
    latest.merge(rows)


if __name__ == "__main__":
    main()
