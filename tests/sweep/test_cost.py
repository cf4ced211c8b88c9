"""The expected time of runs: measured if a finished run has the same settings, otherwise by the stated model."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import tiny_experiment, write_result

from reinit_bench.core.config import Experiment
from reinit_bench.store.store import Store
from reinit_bench.sweep.cost import (
    BLOCKS,
    CPU,
    FLOPS_PER_SECOND,
    GPU,
    START_SECONDS,
    STEP_OVERHEAD_SECONDS,
    Rates,
    cost_line,
    cost_of,
    modelled_step_seconds,
    modelled_steps,
)

NOTHING_KNOWN = Rates({}, {})


@pytest.mark.parametrize(
    ("overrides", "steps"),
    [
        # 60 examples, 54 of them to train on, in batches of 16: an epoch of 3.375 steps, and 100 of them to a round.
        (("method=lw", "trainer.max_steps=8"), 4 * 8),
        (("method=lw", "trainer.max_steps=100000"), 4 * 337.5),
        (("method=lw", "method.repeats=3", "trainer.max_steps=8"), 12 * 8),
        (("method=lw", "method.schedule=[1,2]", "trainer.max_steps=8"), 2 * 8),
        (("method=bl", "trainer.max_steps=8"), 4 * 8),
        (("method=bl", "trainer.max_steps=100000"), 337.5),
        (("dataset.train_examples=10", "trainer.max_steps=100000"), 4 * 100),
        (("model=resnet18", "trainer.max_steps=8"), 8 * 8),
        (("model=torchvision", "trainer.max_steps=8"), BLOCKS * 8),
        (("model=torchvision", "model.blocks=[layer1,layer2,layer3]", "trainer.max_steps=8"), 3 * 8),
    ],
)
def test_steps_by_the_model(overrides: tuple[str, ...], steps: float) -> None:
    assert modelled_steps(tiny_experiment(*overrides)) == pytest.approx(steps)


@pytest.mark.parametrize("on", [CPU, GPU])
def test_a_steps_arithmetic_grows_with_the_batch_and_the_squares_of_size_and_width(on: str) -> None:
    def arithmetic(*overrides: str) -> float:
        experiment = tiny_experiment("image_size=32", "model.width=0.5", "trainer.batch_size=16", *overrides)
        return modelled_step_seconds(experiment, on) - STEP_OVERHEAD_SECONDS

    one = arithmetic()
    macs = float(tiny_experiment().model["_giga_macs_"]) * 1e9 * (32 / 224) ** 2 * 0.5**2
    assert one == pytest.approx(16 * 3 * 2 * macs / FLOPS_PER_SECOND[on])
    assert arithmetic("trainer.batch_size=32") == pytest.approx(2 * one)
    assert arithmetic("image_size=96") == pytest.approx(9 * one)
    assert arithmetic("model.width=1") == pytest.approx(4 * one)


def measured(tmp_path: Path, *runs: tuple[Experiment, str, int, float]) -> Rates:
    """The rates of a store with these finished runs: experiment, device, steps, seconds."""
    for experiment, device, steps, seconds in runs:
        write_result(tmp_path, experiment, device=device, steps=steps, wall_seconds=seconds)
    return Rates.of(Store(tmp_path))


def test_measured_steps_and_step_times_replace_the_model(tmp_path: Path) -> None:
    """The step times of two runs are weighted by their steps; the seed does not matter."""
    seeds = [tiny_experiment(f"seed={seed}") for seed in range(3)]
    rates = measured(tmp_path, (seeds[0], "cuda", 10, 1.0), (seeds[1], "cuda", 30, 7.0))
    assert rates.seconds(seeds[2], GPU) == pytest.approx(START_SECONDS + 20 * (8.0 / 40))
    assert rates.is_measured(seeds[2], GPU)
    assert not rates.is_measured(seeds[2], CPU)
    # Another method takes other steps of the same cost; another width, other steps altogether.
    other = tiny_experiment("method=fc")
    assert rates.seconds(other, GPU) == pytest.approx(START_SECONDS + modelled_steps(other) * (8.0 / 40))
    assert not rates.is_measured(tiny_experiment("model.width=0.5"), GPU)


def test_one_architecture_of_torchvisions_tells_nothing_of_another(tmp_path: Path) -> None:
    one, other = (tiny_experiment("model=torchvision", f"model.arch={arch}") for arch in ("resnet18", "resnet34"))
    rates = measured(tmp_path, (one, "cuda", 10, 1.0))
    assert (rates.is_measured(one, GPU), rates.is_measured(other, GPU)) == (True, False)
    small = tiny_experiment("model=torchvision", "model.arch=resnet18", "model.stem=small")
    assert not rates.is_measured(small, GPU)


def test_results_that_cannot_be_read_tell_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "runs" / "0123456789abcdef"
    broken.mkdir(parents=True)
    (broken / "result.json").write_text("{")
    assert measured(tmp_path, (tiny_experiment(), "cpu", 10, 1.0)).is_measured(tiny_experiment(), CPU)
    assert Rates.of_results([{"config": {"dataset": "of another version"}, "device": "cpu"}]) == NOTHING_KNOWN


def test_runs_count_as_the_gpus_unless_only_cpu_times_are_known(tmp_path: Path) -> None:
    experiment, unknown = tiny_experiment(), tiny_experiment("image_size=16")
    rates = measured(tmp_path, (experiment, "cpu", 10, 36.0))
    cost = cost_of(
        [(experiment, "auto", 1), (experiment, "cpu", 1), (experiment, "cuda", 1), (unknown, "auto", 1)], rates
    )
    on_gpu = rates.seconds(experiment, GPU) + rates.seconds(unknown, GPU)
    assert cost.hours == pytest.approx({CPU: 2 * (START_SECONDS + 36.0) / 3600, GPU: on_gpu / 3600})
    assert (cost.measured, cost.runs) == (2, 4)


def test_the_cost_in_one_line(tmp_path: Path) -> None:
    experiment = tiny_experiment()
    rates = measured(tmp_path, (experiment, "cpu", 10, 36 * 3600 - START_SECONDS))
    assert cost_line(cost_of([], rates)) == "nothing left to run"
    line = cost_line(cost_of([(experiment, "cpu", 1)] * 30, rates))
    assert line.startswith(
        "about 1,080 hours of one process on a CPU left; step times measured for 30 of 30 runs, the rest estimated"
    )


def test_runs_on_auto_are_counted_for_the_machine_that_will_run_them() -> None:
    runs = [(tiny_experiment(), device, 1) for device in ("auto", "cpu", "cuda")]
    there, here = cost_of(runs, NOTHING_KNOWN), cost_of(runs, NOTHING_KNOWN, CPU)
    on = {place: NOTHING_KNOWN.seconds(tiny_experiment(), place) / 3600 for place in (CPU, GPU)}
    assert there.hours == pytest.approx({GPU: 2 * on[GPU], CPU: on[CPU]})
    assert here.hours == pytest.approx({GPU: on[GPU], CPU: 2 * on[CPU]})


def test_seeds_that_train_side_by_side_share_the_start_and_the_overhead_of_a_step() -> None:
    experiment = tiny_experiment()
    alone, together = (cost_of([(experiment, "cpu", count)], NOTHING_KNOWN).hours[CPU] * 3600 for count in (1, 25))
    shared = START_SECONDS + modelled_steps(experiment) * STEP_OVERHEAD_SECONDS
    assert alone - together == pytest.approx(shared * 24 / 25)
