"""How long a run is expected to take: from step times measured in the store, or else from a stated model.

The model: a round ends 40 epochs after `patience_epochs` or at its step limit (without validation examples, without
patience or with a cosine, it takes all its steps). A step is three forward passes of the batch (SAM's six), whose time
grows with the pixels and with the width, and an overhead. On a GPU: 60 TFLOP/s (ResNet50's published training rate on
an A100 in mixed precision) and 3 ms. In a process on a CPU core: 100 GFLOP/s and, for each block, 0.4 ms
(docs/explanation/scale.md says how near that is). Runs that share a GPU are taken not to slow each other. It is meant
for packing runs and for deciding whether to start, not for reporting.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

from reinit_bench.core.config import Experiment
from reinit_bench.store.reader import read
from reinit_bench.store.store import Store
from reinit_bench.sweep.plan import PlannedRun

CPU, GPU = "cpu", "gpu"
NAMES = {GPU: "GPU-hours", CPU: "CPU-hours"}
"""Hours of one GPU; hours of one process on a CPU core."""
FLOPS_PER_SECOND = {GPU: 60e12, CPU: 100e9}
START_SECONDS = {GPU: 10.0, CPU: 0.5}
"""To start a run: move the data to the device, build the network and, on a GPU, compile it."""
EPOCHS_BEFORE_PATIENCE = 40
GIGA_MACS, BLOCKS, EXAMPLES = 4.0, 16, 10_000
"""Assumed for a model or a dataset whose file states none."""


@dataclass(frozen=True)
class Rates:
    """Measured seconds per step and steps per run, by the settings that determine them."""

    step_seconds: Mapping[Any, float]
    steps: Mapping[Any, float]

    @classmethod
    def of(cls, store: Store) -> Rates:
        """The mean rates of all finished runs in a store; results that this code cannot read are skipped."""
        seconds: defaultdict[Any, list[float]] = defaultdict(list)
        steps: defaultdict[Any, list[float]] = defaultdict(list)
        for run in read(store, only_done=True).done:
            result, experiment = run.result or {}, run.experiment
            on = CPU if result["device"] == "cpu" else GPU
            seconds[_step_setting(experiment, on)].append(float(result["wall_seconds"]) / max(1, result["steps"]))
            steps[_length_setting(experiment)].append(float(result["steps"]))
        return cls(*({key: fmean(found) for key, found in rates.items()} for rates in (seconds, steps)))

    def seconds(self, experiment: Experiment, on: str = GPU) -> float:
        """The expected seconds of a run in one process; a measured step has its share of all that its run did."""
        steps = self.steps.get(_length_setting(experiment), modelled_steps(experiment))
        measured = self.step_seconds.get(_step_setting(experiment, on))
        return START_SECONDS[on] + steps * modelled_step(experiment, on) if measured is None else steps * measured

    def is_measured(self, experiment: Experiment, on: str = GPU) -> bool:
        """Whether the step time is known from a finished run."""
        return _step_setting(experiment, on) in self.step_seconds


def modelled_steps(experiment: Experiment) -> float:
    """Steps of all rounds, each until convergence or its limit; the baseline's only round has the budget of all."""
    method, trainer, dataset = experiment.method, experiment.trainer, experiment.dataset
    planned = (len(method.get("schedule") or ()) or blocks(experiment.model)) * int(method.get("repeats") or 1)
    rounds = int(method.get("_rounds_") or planned)
    limit = trainer.max_steps * planned / rounds
    rounds *= max(1, len(dataset.get("stages") or ()))
    beside = bool(dataset.get("validation_examples"))
    validates = beside or trainer.validation_fraction > 0
    if trainer.schedule == "cosine" or trainer.patience_epochs is None or not validates:
        return rounds * limit
    examples = dataset.get("train_examples") or dataset.get("train_count") or EXAMPLES
    epoch = examples * (1 - (0.0 if beside else trainer.validation_fraction)) / trainer.batch_size
    return rounds * min(limit, (EPOCHS_BEFORE_PATIENCE + trainer.patience_epochs) * max(1.0, epoch))


def blocks(model: Mapping[str, Any]) -> int:
    """The paper's K, as far as it is known without building the network."""
    layers = len(hidden) + 1 if (hidden := model.get("hidden")) else 0  # of a perceptron, each one is a block
    return len(model.get("blocks") or ()) or layers or int(model.get("_blocks_") or BLOCKS)


def modelled_step(experiment: Experiment, on: str) -> float:
    """Seconds of one training step, from the model alone."""
    model, trainer = experiment.model, experiment.trainer
    stated = model.get("_giga_macs_")
    macs = (GIGA_MACS if stated is None else float(stated)) * 1e9 * float(model.get("width") or 1.0)
    pixels = ((experiment.image_size or 224) / 224) ** 2
    passes = 6 if trainer.optimizer == "sam" else 3
    arithmetic = passes * trainer.batch_size * 2 * macs * pixels / FLOPS_PER_SECOND[on]
    return arithmetic + (0.003 if on == GPU else 0.0004 * blocks(model))


def _step_setting(experiment: Experiment, on: str) -> Any:
    model, trainer = experiment.model, experiment.trainer
    net = tuple(model.get(name) for name in ("name", "arch", "stem", "width"))
    return on, net, experiment.image_size, experiment.precision, trainer.batch_size, trainer.optimizer == "sam"


def _length_setting(experiment: Experiment) -> Any:
    data, model, method = experiment.dataset, experiment.model, experiment.method
    net = model["name"], model.get("arch"), len(model.get("blocks") or ()), experiment.image_size
    return data["name"], data.get("train_examples"), net, method["name"], method.get("repeats"), experiment.trainer


class Cost(NamedTuple):
    """The expected time of several runs."""

    hours: Mapping[str, float]
    """Of one GPU, or of one process on a CPU core, by the kind of device that they run on."""
    wall_hours: float
    """From the first run's start to the last one's end."""
    measured: int
    """How many of the runs have a measured step time."""
    runs: int


@dataclass(frozen=True)
class Estimate:
    """What runs would cost in one place: on this machine or on a cluster.

    Attributes:
        auto: what runs with `device=auto` will use.
        processes: how many work at once on this machine; None: on a cluster, as many as its queue lets run.
        sharing: how many of them share a GPU.
    """

    rates: Rates
    auto: str = GPU
    processes: int | None = None
    sharing: int = 1

    def cost(self, runs: Iterable[PlannedRun]) -> Cost:
        """The expected time of those of these runs that are not done, each counted from its beginning."""
        hours: defaultdict[str, float] = defaultdict(float)
        each, measured = [0.0], 0
        for run in (run for run in runs if run.state != "done"):
            on = device_kind(run.execution.device, self.auto)
            each.append(self.rates.seconds(run.experiment, on) / 3600)
            hours[on] += each[-1] / (self.sharing if on == GPU else 1)
            measured += self.rates.is_measured(run.experiment, on)
        return Cost(hours, max(sum(each) / (self.processes or 1), *each), measured, len(each) - 1)


def device_kind(device: str, auto: str) -> str:
    """CPU or GPU for a run's `device` field; `auto` is what device=auto will use."""
    return {"cpu": CPU, "auto": auto}.get(device, GPU)


def cost_line(cost: Cost, processes: int | None = None) -> str:
    """`about 8 minutes left with 2 processes here (0.25 CPU-hours); step times measured for 96 of 1,800 runs, ...`.

    Args:
        processes: how many worker processes this machine runs; None: the runs go to a cluster.
    """
    if not cost.runs:
        return "nothing left to run"
    left = " and ".join(f"{short(cost.hours[on])} {NAMES[on]}" for on in (GPU, CPU) if on in cost.hours)
    if processes is not None:
        noun = "process" if processes == 1 else "processes"
        left = f"{duration(cost.wall_hours)} left with {processes} {noun} here ({left})"
    else:
        left += " left"
    if cost.measured == cost.runs:
        return f"about {left}; all step times measured"
    return (
        f"about {left}; step times measured for {cost.measured:,} of {cost.runs:,} runs, "
        "the rest estimated by the model in reinit_bench/sweep/cost.py"
    )


def short(number: float) -> str:
    """`5,310`, `25`, `2.1`, `0.049`."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def duration(hours: float) -> str:
    """`40 seconds`, `8 minutes`, `5.2 hours`, `12 days`, `1,550 years`: in the unit that suits it."""
    units = (("years", 24 * 365.0), ("days", 24.0), ("hours", 1.0), ("minutes", 1 / 60), ("seconds", 1 / 3600))
    name, unit = next((one for one in units if hours >= 2 * one[1]), units[-1])
    return f"{short(hours / unit)} {name}"
