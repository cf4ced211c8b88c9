"""How long a run is expected to take: from step times measured in the store, or else from a stated model.

The model: a round converges after 100 epochs or at its step limit (a cosine's takes all its steps); a step costs three
forward passes of the batch (SAM's six) at 60 TFLOP/s on a GPU (ResNet50's published training rate on an A100 in mixed
precision) or 25 GFLOP/s in a process on a CPU core, plus 3 ms. It is meant for packing runs and for deciding whether to
start, not for reporting.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reinit_bench.core.config import Experiment
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.store import CorruptResult, Store

CPU, GPU = "cpu", "gpu"
FLOPS_PER_SECOND = {GPU: 60e12, CPU: 25e9}
STEP_OVERHEAD_SECONDS = 0.003
START_SECONDS = 10.0
"""To start a run: move the data to the device, build the network and, on a GPU, compile it."""
EPOCHS_OF_A_ROUND = 100
GIGA_MACS = 4.0
"""Assumed for a model whose file states none (`_giga_macs_`)."""
BLOCKS = 16
"""Assumed for a model that neither names its blocks nor states their number (`_blocks_`)."""
EXAMPLES = 10_000
"""Assumed for a dataset that states none."""

_Setting = tuple[Any, ...]


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
            on = CPU if result["device"] == "cpu" else GPU
            seconds[_step_setting(experiment, on)] += float(result["wall_seconds"])
            steps[_step_setting(experiment, on)] += float(result["steps"])
            per_run[_length_setting(experiment)].append(float(result["steps"]))
        measured = {key: seconds[key] / count for key, count in steps.items() if count}
        return cls(measured, {key: sum(counts) / len(counts) for key, counts in per_run.items()})

    def seconds(self, experiment: Experiment, on: str = GPU, side_by_side: int = 1) -> float:
        """The expected seconds of a run on one GPU, or in one process on a CPU; its share if several train together."""
        steps = self.steps.get(_length_setting(experiment), modelled_steps(experiment))
        return START_SECONDS / side_by_side + steps * self.seconds_of_a_step(experiment, on, side_by_side)

    def seconds_of_a_step(self, experiment: Experiment, on: str = GPU, side_by_side: int = 1) -> float:
        """The expected time of one training step, everything of a run but its start included."""
        step = self.step_seconds.get(_step_setting(experiment, on))
        return modelled_step_seconds(experiment, on, side_by_side) if step is None else step

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
    return len(model.get("blocks") or ()) or int(model.get("_blocks_") or BLOCKS)


def first_round_steps(experiment: Experiment, limit: float) -> float:
    """Steps of one round: until convergence or its limit."""
    trainer = experiment.trainer
    if trainer.schedule == "cosine" or trainer.patience_epochs is None:
        return limit
    examples = experiment.dataset.get("train_examples") or experiment.dataset.get("train_count") or EXAMPLES
    held_out = 0.0 if experiment.dataset.get("validation_examples") else trainer.validation_fraction
    return min(limit, EPOCHS_OF_A_ROUND * max(1.0, examples * (1 - held_out) / trainer.batch_size))


def modelled_step_seconds(experiment: Experiment, on: str, side_by_side: int = 1) -> float:
    """Seconds of one training step, from the model's arithmetic alone; runs that train together share the overhead."""
    stated = experiment.model.get("_giga_macs_")
    macs = (GIGA_MACS if stated is None else float(stated)) * 1e9
    macs *= ((experiment.image_size or 224) / 224) ** 2 * float(experiment.model.get("width") or 1.0) ** 2
    passes = 2 if experiment.trainer.optimizer == "sam" else 1
    flops = passes * experiment.trainer.batch_size * 3 * 2 * macs
    return STEP_OVERHEAD_SECONDS / side_by_side + flops / FLOPS_PER_SECOND[on]


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
    """The expected time of several runs, by the kind of device that they run on.

    Attributes:
        hours: of one GPU, or of one process on a CPU.
        measured: how many of the runs have a measured step time.
        runs: how many there are.
    """

    hours: Mapping[str, float]
    measured: int
    runs: int


def cost_of(runs: Iterable[tuple[Experiment, str, int]], rates: Rates, auto: str = GPU) -> Cost:
    """The expected time of these runs.

    Args:
        runs: each with its `device` field and the number of runs that train side by side with it, itself included.
        auto: what runs with `device=auto` will use; if it is a GPU, those of a setting for which only CPU times are
            known count as CPU runs all the same.
    """
    hours: defaultdict[str, float] = defaultdict(float)
    measured = count = 0
    for experiment, device, side_by_side in runs:
        only_cpu = rates.is_measured(experiment, CPU) and not rates.is_measured(experiment, GPU)
        on = CPU if device == "cpu" or (device == "auto" and (only_cpu or auto == CPU)) else GPU
        hours[on] += rates.seconds(experiment, on, side_by_side) / 3600
        measured += rates.is_measured(experiment, on)
        count += 1
    return Cost(hours, measured, count)


def cost_line(cost: Cost) -> str:
    """`about 5,310 GPU-hours left; step times measured for 96 of 2,448 runs, the rest estimated ...`."""
    if not cost.runs:
        return "nothing left to run"
    return (
        f"about {hours_line(cost.hours)} left; step times measured for {cost.measured:,} of {cost.runs:,} runs, "
        "the rest estimated by the model in reinit_bench/sweep/cost.py"
    )


def hours_line(hours: Mapping[str, float]) -> str:
    """`5,310 GPU-hours and 2.1 hours of one process on a CPU`."""
    names = {GPU: "GPU-hours", CPU: "hours of one process on a CPU"}
    return " and ".join(f"{rounded(hours[on])} {names[on]}" for on in (GPU, CPU) if on in hours)


def rounded(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"
