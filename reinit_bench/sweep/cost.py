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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reinit_bench.core.config import Experiment
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.store import CorruptResult, Store

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

_Setting = tuple[Any, ...]
Sharing = Callable[[Experiment], int]
"""How many runs share a GPU while this one trains."""


def alone(experiment: Experiment) -> int:
    """Each run has a GPU to itself."""
    return 1


@dataclass(frozen=True)
class Rates:
    """Measured seconds per step and steps per run, by the settings that determine them."""

    step_seconds: Mapping[_Setting, float]
    steps: Mapping[_Setting, float]

    @classmethod
    def of(cls, store: Store) -> Rates:
        """The rates of all finished runs in a store."""
        return cls.of_results(_results(store))

    @classmethod
    def of_results(cls, results: Iterable[Mapping[str, Any]]) -> Rates:
        """The rates of these `result.json`s; those that this code cannot read are skipped."""
        seconds: defaultdict[_Setting, float] = defaultdict(float)
        steps: defaultdict[_Setting, float] = defaultdict(float)
        per_run: defaultdict[_Setting, list[float]] = defaultdict(list)
        for result in results:
            try:
                experiment = Experiment.from_dict(result["config"])
            except (ConfigError, KeyError, TypeError):
                continue
            if result.get("side_by_side", 1) == 1:  # version 1 trained several runs together and divided their time
                setting = _step_setting(experiment, CPU if result["device"] == "cpu" else GPU)
                seconds[setting] += float(result["wall_seconds"])
                steps[setting] += float(result["steps"])
            per_run[_length_setting(experiment)].append(float(result["steps"]))
        measured = {key: seconds[key] / count for key, count in steps.items() if count}
        return cls(measured, {key: sum(counts) / len(counts) for key, counts in per_run.items()})

    def seconds(self, experiment: Experiment, on: str = GPU, sharing: int = 1) -> float:
        """The expected seconds of a run in one process, on a GPU or CPU.

        Args:
            sharing: how many processes use the GPU. A measured step time is taken as it was measured.
        """
        steps = self.steps.get(_length_setting(experiment), modelled_steps(experiment))
        start = 0.0 if self.is_measured(experiment, on) else START_SECONDS[on]
        return start + steps * self.seconds_of_a_step(experiment, on, sharing)

    def seconds_of_a_step(self, experiment: Experiment, on: str = GPU, sharing: int = 1) -> float:
        """The expected time of one training step; a measured one has its share of everything that its run did."""
        step = self.step_seconds.get(_step_setting(experiment, on))
        return modelled_step_seconds(experiment, on, sharing) if step is None else step

    def is_measured(self, experiment: Experiment, on: str = GPU) -> bool:
        """Whether the step time is known from a finished run."""
        return _step_setting(experiment, on) in self.step_seconds


def modelled_steps(experiment: Experiment) -> float:
    """Steps of all rounds, each until convergence or its limit; the baseline's only round has the budget of all."""
    method, trainer = experiment.method, experiment.trainer
    planned = len(method.get("schedule") or ()) or blocks(experiment.model)
    rounds = planned * int(method.get("repeats") or 1)
    alone = int(method.get("_rounds_") or rounds)
    return alone * first_round_steps(experiment, trainer.max_steps * rounds / alone)


def blocks(model: Mapping[str, Any]) -> int:
    """The paper's K, as far as it is known without building the network."""
    layers = len(hidden) + 1 if (hidden := model.get("hidden")) else 0  # of a perceptron, each one is a block
    return len(model.get("blocks") or ()) or layers or int(model.get("_blocks_") or BLOCKS)


def first_round_steps(experiment: Experiment, limit: float) -> float:
    """Steps of one round: until convergence or its limit."""
    trainer = experiment.trainer
    beside = bool(experiment.dataset.get("validation_examples"))
    validates = beside or trainer.validation_fraction > 0
    if trainer.schedule == "cosine" or trainer.patience_epochs is None or not validates:
        return limit
    examples = experiment.dataset.get("train_examples") or experiment.dataset.get("train_count") or EXAMPLES
    held_out = 0.0 if beside else trainer.validation_fraction
    return min(limit, EPOCHS_OF_A_ROUND * max(1.0, examples * (1 - held_out) / trainer.batch_size))


def modelled_step_seconds(experiment: Experiment, on: str, sharing: int = 1) -> float:
    """Seconds of one training step, from the model alone."""
    arithmetic = arithmetic_seconds(experiment, on)
    step = overhead_seconds(experiment, on) + arithmetic
    return max(step, sharing * arithmetic) if on == GPU else step


def arithmetic_seconds(experiment: Experiment, on: str) -> float:
    """The part of a step for which the device computes."""
    stated = experiment.model.get("_giga_macs_")
    macs = (GIGA_MACS if stated is None else float(stated)) * 1e9
    macs *= ((experiment.image_size or 224) / 224) ** 2 * float(experiment.model.get("width") or 1.0) ** 2
    passes = 2 if experiment.trainer.optimizer == "sam" else 1
    return passes * experiment.trainer.batch_size * 3 * 2 * macs / FLOPS_PER_SECOND[on]


def overhead_seconds(experiment: Experiment, on: str) -> float:
    """What a step takes besides its arithmetic: on a CPU for each block, less of it for vectors than for images."""
    if on == GPU:
        return 0.003
    return (0.0005 if experiment.image_size is None else 0.001) * blocks(experiment.model)


def _step_setting(experiment: Experiment, on: str) -> _Setting:
    model = experiment.model
    return (
        on,
        *(model.get(name) for name in ("name", "arch", "stem", "width")),
        experiment.image_size,
        experiment.precision,
        experiment.trainer.batch_size,
        experiment.trainer.optimizer == "sam",
    )


def _length_setting(experiment: Experiment) -> _Setting:
    data, model, trainer = experiment.dataset, experiment.model, experiment.trainer
    net = (model["name"], model.get("arch"), len(model.get("blocks") or ()))
    size = (data["name"], data.get("train_examples"), *net, experiment.image_size)
    method = (experiment.method["name"], experiment.method.get("repeats"))
    return (*size, *method, trainer.max_steps, trainer.batch_size, trainer.schedule == "cosine")


def _results(store: Store) -> Iterable[Mapping[str, Any]]:
    for run_id in store.run_ids():
        try:
            result = store.read_result(run_id)
        except CorruptResult:
            continue
        if result is not None:
            yield result


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


def cost_of(
    runs: Iterable[tuple[Experiment, str]],
    rates: Rates,
    auto: str = GPU,
    processes: int = 1,
    sharing: Sharing = alone,
) -> Cost:
    """The expected time of these runs.

    Args:
        runs: in order; each with its `device` field.
        auto: what runs with `device=auto` will use.
        processes: how many work at once, each taking the next run when it has ended one.
        sharing: how many of them share a GPU.
    """
    hours: defaultdict[str, float] = defaultdict(float)
    busy_until = [0.0] * processes
    measured = count = 0
    for experiment, device in runs:
        on = place_of(device, auto)
        together = sharing(experiment) if on == GPU else 1
        seconds = rates.seconds(experiment, on, together)
        hours[on] += seconds / together / 3600
        heapq.heapreplace(busy_until, busy_until[0] + seconds / 3600)
        measured += rates.is_measured(experiment, on)
        count += 1
    return Cost(hours, max(busy_until), measured, count)


def place_of(device: str, auto: str) -> str:
    """CPU or GPU for a run's `device` field; `auto` is what device=auto will use."""
    return {"cpu": CPU, "auto": auto}.get(device, GPU)


def cost_line(cost: Cost, processes: int | None = None) -> str:
    """`about 8 minutes left with 2 processes here (0.25 CPU-hours); step times measured for 96 of 1,800 runs, ...`.

    Args:
        processes: how many worker processes this machine runs; None: the runs go to a cluster.
    """
    if not cost.runs:
        return "nothing left to run"
    total = hours_line(cost.hours)
    if processes is None:
        left = f"about {total} left"
    else:
        noun = "process" if processes == 1 else "processes"
        left = f"about {duration(cost.wall_hours)} left with {processes} {noun} here ({total})"
    if cost.measured == cost.runs:
        return f"{left}; all step times measured"
    return (
        f"{left}; step times measured for {cost.measured:,} of {cost.runs:,} runs, "
        "the rest estimated by the model in reinit_bench/sweep/cost.py"
    )


def hours_line(hours: Mapping[str, float]) -> str:
    """`5,310 GPU-hours and 2.1 CPU-hours`."""
    return " and ".join(f"{rounded(hours[on])} {NAMES[on]}" for on in (GPU, CPU) if on in hours)


def rounded(hours: float) -> str:
    """`5,310`, `25`, `2.1`, `0.049`."""
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def duration(hours: float) -> str:
    """`40 seconds`, `8 minutes`, `5.2 hours`, `12 days`, `1,550 years`: in the unit that suits it."""
    units = (("years", 24 * 365.0), ("days", 24.0), ("hours", 1.0), ("minutes", 1 / 60), ("seconds", 1 / 3600))
    name, unit = next((one for one in units if hours >= 2 * one[1]), units[-1])
    return f"{rounded(hours / unit)} {name}"
