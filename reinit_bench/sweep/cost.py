"""How long a run is expected to take: from step times measured in the store, or else from a stated model.

The model: a round converges after 100 epochs or at its step limit (without validation examples, or with a cosine, it
takes all its steps); a step costs three forward passes of the batch (SAM's six) and an overhead. On a GPU: 60 TFLOP/s
(ResNet50's published training rate on an A100 in mixed precision), 3 ms a step. In a process on a CPU core: 60 GFLOP/s
and, for each block, 1 ms (0.5 ms in a perceptron), which fit the processor time of parts of `study=table1`, `demo` and
`digits` on one machine (docs/explanation/scale.md). Runs that share a GPU take turns at its arithmetic; one's overhead
passes while others compute. It is meant for packing runs and for deciding whether to start, not for reporting.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reinit_bench.core.config import Experiment
from reinit_bench.store.reader import read
from reinit_bench.store.store import Store
from reinit_bench.sweep.plan import PlannedRun

CPU, GPU = "cpu", "gpu"
NAMES = {GPU: "GPU-hours", CPU: "CPU-hours"}
"""Hours of one GPU; hours of one process on a CPU core."""
FLOPS_PER_SECOND = {GPU: 60e12, CPU: 60e9}
START_SECONDS = {GPU: 10.0, CPU: 0.5}
"""To start a run: move the data to the device, build the network and, on a GPU, compile it."""
EPOCHS_OF_A_ROUND = 100
GIGA_MACS = 4.0
"""Assumed for a model whose file states none (`_giga_macs_`)."""
BLOCKS = 16
"""Assumed for a model that neither names its blocks nor states their number (`_blocks_`)."""
EXAMPLES = 10_000
"""Assumed for a dataset that states none."""


@dataclass(frozen=True)
class Rates:
    """Measured seconds per step and steps per run, by the settings that determine them."""

    step_seconds: Mapping[str, float]
    steps: Mapping[str, float]

    @classmethod
    def of(cls, store: Store) -> Rates:
        """The rates of all finished runs in a store; results that this code cannot read are skipped."""
        seconds: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        lengths: defaultdict[str, list[float]] = defaultdict(list)
        for run in read(store, only_done=True).done:
            result, experiment = run.result or {}, run.experiment
            steps = float(result["steps"])
            lengths[_length_setting(experiment)].append(steps)
            if result.get("side_by_side", 1) == 1:  # version 1 trained several runs together and divided their time
                measured = seconds[_step_setting(experiment, CPU if result["device"] == "cpu" else GPU)]
                measured[0] += float(result["wall_seconds"])
                measured[1] += steps
        return cls(
            {setting: taken / steps for setting, (taken, steps) in seconds.items() if steps},
            {setting: sum(counts) / len(counts) for setting, counts in lengths.items()},
        )

    def seconds(self, experiment: Experiment, on: str = GPU, sharing: int = 1) -> float:
        """The expected seconds of a run in one process, on a GPU or CPU.

        Args:
            sharing: how many processes use the GPU. A measured step time is taken as it was measured.
        """
        steps = self.steps.get(_length_setting(experiment), modelled_steps(experiment))
        start = 0.0 if self.is_measured(experiment, on) else START_SECONDS[on]
        return start + steps * self.step(experiment, on, sharing)

    def step(self, experiment: Experiment, on: str = GPU, sharing: int = 1) -> float:
        """The expected seconds of one training step; a measured one has its share of everything that its run did."""
        measured = self.step_seconds.get(_step_setting(experiment, on))
        return modelled_step(experiment, on, sharing) if measured is None else measured

    def is_measured(self, experiment: Experiment, on: str = GPU) -> bool:
        """Whether the step time is known from a finished run."""
        return _step_setting(experiment, on) in self.step_seconds


def modelled_steps(experiment: Experiment) -> float:
    """Steps of all rounds, each until convergence or its limit; the baseline's only round has the budget of all."""
    method, trainer, dataset = experiment.method, experiment.trainer, experiment.dataset
    planned = (len(method.get("schedule") or ()) or blocks(experiment.model)) * int(method.get("repeats") or 1)
    rounds = int(method.get("_rounds_") or planned)
    limit = trainer.max_steps * planned / rounds
    beside = bool(dataset.get("validation_examples"))
    validates = beside or trainer.validation_fraction > 0
    if trainer.schedule == "cosine" or trainer.patience_epochs is None or not validates:
        return rounds * limit
    examples = dataset.get("train_examples") or dataset.get("train_count") or EXAMPLES
    held_out = 0.0 if beside else trainer.validation_fraction
    return rounds * min(limit, EPOCHS_OF_A_ROUND * max(1.0, examples * (1 - held_out) / trainer.batch_size))


def blocks(model: Mapping[str, Any]) -> int:
    """The paper's K, as far as it is known without building the network."""
    layers = len(hidden) + 1 if (hidden := model.get("hidden")) else 0  # of a perceptron, each one is a block
    return len(model.get("blocks") or ()) or layers or int(model.get("_blocks_") or BLOCKS)


def modelled_step(experiment: Experiment, on: str, sharing: int = 1) -> float:
    """Seconds of one training step, from the model alone: arithmetic, and an overhead, on a CPU for each block."""
    model, size = experiment.model, experiment.image_size
    stated = model.get("_giga_macs_")
    macs = (GIGA_MACS if stated is None else float(stated)) * 1e9
    macs *= ((size or 224) / 224) ** 2 * float(model.get("width") or 1.0) ** 2
    passes = 6 if experiment.trainer.optimizer == "sam" else 3
    arithmetic = passes * experiment.trainer.batch_size * 2 * macs / FLOPS_PER_SECOND[on]
    if on == GPU:
        return max(0.003 + arithmetic, sharing * arithmetic)
    return (0.0005 if size is None else 0.001) * blocks(model) + arithmetic


def _step_setting(experiment: Experiment, on: str) -> str:
    model, trainer = experiment.model, experiment.trainer
    net = [model.get(name) for name in ("name", "arch", "stem", "width")]
    return repr((on, *net, experiment.image_size, experiment.precision, trainer.batch_size, trainer.optimizer == "sam"))


def _length_setting(experiment: Experiment) -> str:
    data, model, trainer = experiment.dataset, experiment.model, experiment.trainer
    net = (model["name"], model.get("arch"), len(model.get("blocks") or ()), experiment.image_size)
    method = (experiment.method["name"], experiment.method.get("repeats"))
    ends = (trainer.max_steps, trainer.batch_size, trainer.schedule == "cosine")
    return repr((data["name"], data.get("train_examples"), *net, *method, *ends))


@dataclass(frozen=True)
class Cost:
    """The expected time of several runs.

    Attributes:
        hours: of one GPU, or of one process on a CPU core, by the kind of device that they run on.
        wall_hours: from the first run's start to the last one's end.
        measured: how many of the runs have a measured step time.
        runs: how many there are.
    """

    hours: Mapping[str, float]
    wall_hours: float
    measured: int
    runs: int


@dataclass(frozen=True)
class Estimate:
    """What runs would cost in one place: on this machine or on a cluster.

    Attributes:
        auto: what runs with `device=auto` will use.
        processes: how many work at once on this machine, each taking the next run when it has ended one; None: on a
            cluster, as many as its queue lets run.
        sharing: how many of them share a GPU.
    """

    rates: Rates
    auto: str = GPU
    processes: int | None = None
    sharing: int = 1

    def cost(self, runs: Iterable[PlannedRun]) -> Cost:
        """The expected time of those of these runs that are not done, each counted from its beginning."""
        hours: defaultdict[str, float] = defaultdict(float)
        busy_until = [0.0] * (self.processes or 1)
        measured = count = 0
        for run in (run for run in runs if run.state != "done"):
            on = device_kind(run.execution.device, self.auto)
            sharing = self.sharing if on == GPU else 1
            seconds = self.rates.seconds(run.experiment, on, sharing)
            hours[on] += seconds / sharing / 3600
            heapq.heapreplace(busy_until, busy_until[0] + seconds / 3600)
            measured += self.rates.is_measured(run.experiment, on)
            count += 1
        return Cost(hours, max(busy_until), measured, count)


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
