"""The expected time of runs: measured if a finished run has the same settings, otherwise by the stated model."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import tiny_experiment, write_result

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.store.store import Store
from reinit_bench.sweep.cost import (
    BLOCKS,
    CPU,
    FLOPS_PER_SECOND,
    GPU,
    START_SECONDS,
    Estimate,
    Rates,
    cost_line,
    duration,
    modelled_step,
    modelled_steps,
)
from reinit_bench.sweep.plan import PlannedRun

NOTHING_KNOWN = Rates({}, {})
NOTHING_HELD_OUT = "trainer.validation_fraction=0", "trainer.round_weights=last"


@pytest.mark.parametrize(
    ("overrides", "steps"),
    [
        # 60 examples, 54 of them to train on, in batches of 16: an epoch of 3.375 steps, and 100 of them to a round.
        (("method=lw", "trainer.max_steps=8"), 4 * 8),
        (("method=lw", "trainer.max_steps=100000"), 4 * 337.5),
        (("method=lw", "method.repeats=3", "trainer.max_steps=8"), 12 * 8),
        (("method=lw", "method.schedule=[1,2]", "trainer.max_steps=8"), 2 * 8),
        (("method=bl", "trainer.max_steps=8"), 4 * 8),
        # Nothing is held out: a round cannot converge before its limit.
        (("method=lw", "trainer.max_steps=5000", *NOTHING_HELD_OUT), 4 * 5000),
        (("method=bl", "trainer.max_steps=5000", *NOTHING_HELD_OUT), 4 * 5000),
        (("method=bl", "trainer.max_steps=100000"), 337.5),
        (("dataset.train_examples=10", "trainer.max_steps=100000"), 4 * 100),
        (("model=resnet18", "trainer.max_steps=8"), 8 * 8),
        (("model=torchvision", "trainer.max_steps=8"), BLOCKS * 8),
        (("model=torchvision", "model.blocks=[layer1,layer2,layer3]", "trainer.max_steps=8"), 3 * 8),
    ],
)
def test_steps_by_the_model(overrides: tuple[str, ...], steps: float) -> None:
    assert modelled_steps(tiny_experiment(*overrides)) == pytest.approx(steps)


def planned(experiment: Experiment, device: str = "cpu", state: str = "missing") -> PlannedRun:
    return PlannedRun(experiment=experiment, execution=Execution(device=device), state=state)


@pytest.mark.parametrize(("on", "overhead"), [(CPU, 0.001 * 4), (GPU, 0.003)])
def test_a_steps_arithmetic_grows_with_the_batch_and_the_squares_of_size_and_width(on: str, overhead: float) -> None:
    def arithmetic(*overrides: str) -> float:
        experiment = tiny_experiment("image_size=32", "model.width=0.5", "trainer.batch_size=16", *overrides)
        return modelled_step(experiment, on) - overhead

    one = arithmetic()
    macs = float(tiny_experiment().model["_giga_macs_"]) * 1e9 * (32 / 224) ** 2 * 0.5**2
    assert one == pytest.approx(16 * 3 * 2 * macs / FLOPS_PER_SECOND[on])
    assert arithmetic("trainer.batch_size=32") == pytest.approx(2 * one)
    assert arithmetic("image_size=96") == pytest.approx(9 * one)
    assert arithmetic("model.width=1") == pytest.approx(4 * one)


def test_runs_that_share_a_gpu_take_turns_at_its_arithmetic() -> None:
    small = tiny_experiment("image_size=28", "model.width=0.5", "trainer.batch_size=32")
    large = tiny_experiment("image_size=224", "model=resnet50", "model.width=1", "trainer.batch_size=256")
    assert NOTHING_KNOWN.step(small, GPU, 8) == NOTHING_KNOWN.step(small, GPU)  # their launches overlap
    assert NOTHING_KNOWN.step(large, GPU, 4) == pytest.approx(4 * (NOTHING_KNOWN.step(large, GPU) - 0.003))
    one, eight = (Estimate(NOTHING_KNOWN, GPU, n, n).cost([planned(small, "cuda")] * 8) for n in (1, 8))
    assert eight.hours[GPU] == pytest.approx(one.hours[GPU] / 8)
    assert eight.wall_hours == pytest.approx(one.wall_hours / 8)


def measured(tmp_path: Path, *runs: tuple[Experiment, str, int, float]) -> Rates:
    """The rates of a store with these finished runs: experiment, device, steps, seconds."""
    for experiment, device, steps, seconds in runs:
        write_result(tmp_path, experiment, device=device, steps=steps, wall_seconds=seconds)
    return Rates.of(Store(tmp_path))


def test_measured_steps_and_step_times_replace_the_model(tmp_path: Path) -> None:
    """The step times of two runs are weighted by their steps; the seed does not matter."""
    seeds = [tiny_experiment(f"seed={seed}") for seed in range(3)]
    rates = measured(tmp_path, (seeds[0], "cuda", 10, 1.0), (seeds[1], "cuda", 30, 7.0))
    assert rates.seconds(seeds[2], GPU) == pytest.approx(20 * (8.0 / 40))  # their start is in their time
    assert rates.is_measured(seeds[2], GPU)
    assert not rates.is_measured(seeds[2], CPU)
    # Another method takes other steps of the same cost; another width, other steps altogether.
    other = tiny_experiment("method=fc")
    assert rates.seconds(other, GPU) == pytest.approx(modelled_steps(other) * (8.0 / 40))
    assert not rates.is_measured(tiny_experiment("model.width=0.5"), GPU)


def test_one_architecture_of_torchvisions_tells_nothing_of_another(tmp_path: Path) -> None:
    one, other = (tiny_experiment("model=torchvision", f"model.arch={arch}") for arch in ("resnet18", "resnet34"))
    rates = measured(tmp_path, (one, "cuda", 10, 1.0))
    assert (rates.is_measured(one, GPU), rates.is_measured(other, GPU)) == (True, False)
    small = tiny_experiment("model=torchvision", "model.arch=resnet18", "model.stem=small")
    assert not rates.is_measured(small, GPU)


def test_results_that_cannot_be_read_or_were_trained_together_tell_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "runs" / "0123456789abcdef"
    broken.mkdir(parents=True)
    (broken / "result.json").write_text("{")
    write_result(tmp_path, tiny_experiment("seed=1"), device="cpu", steps=10, wall_seconds=1.0, side_by_side=25)
    assert not Rates.of(Store(tmp_path)).is_measured(tiny_experiment(), CPU)
    assert measured(tmp_path, (tiny_experiment(), "cpu", 10, 1.0)).is_measured(tiny_experiment(), CPU)


def test_a_perceptrons_blocks_are_its_layers() -> None:
    for hidden, count in (("[32,32]", 3), ("[32,32,32]", 4)):
        experiment = tiny_experiment("dataset=synthetic", f"model.hidden={hidden}", "image_size=null")
        assert modelled_steps(experiment) == count * experiment.trainer.max_steps


def test_the_cost_in_one_line(tmp_path: Path) -> None:
    experiment = tiny_experiment()
    rates = measured(tmp_path, (experiment, "cpu", 10, 36 * 3600))
    runs, here = [planned(experiment)] * 30, Estimate(rates)
    assert cost_line(here.cost([planned(experiment, state="done")])) == "nothing left to run"
    assert cost_line(here.cost(runs)) == "about 1,080 CPU-hours left; all step times measured"
    assert cost_line(Estimate(rates, processes=4).cost(runs), 4) == (
        "about 12 days left with 4 processes here (1,080 CPU-hours); all step times measured"
    )
    other = tiny_experiment("image_size=16", "trainer.max_steps=2")
    assert cost_line(here.cost([planned(experiment), planned(other, "cuda")]), 1) == (
        "about 36 hours left with 1 process here (0.0028 GPU-hours and 36 CPU-hours); step times measured for 1 of 2 "
        "runs, the rest estimated by the model in reinit_bench/sweep/cost.py"
    )


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (0.0, "0 seconds"),
        (0.02, "72 seconds"),
        (0.25, "15 minutes"),
        (5.23, "5.2 hours"),
        (47.0, "47 hours"),
        (300.0, "12 days"),
        (13_581_341.0, "1,550 years"),
    ],
)
def test_a_duration_is_said_in_the_unit_that_suits_it(hours: float, text: str) -> None:
    assert duration(hours) == text


def test_processes_take_the_next_job_as_they_are_free(tmp_path: Path) -> None:
    long, short = tiny_experiment("image_size=16"), tiny_experiment()
    rates = measured(tmp_path, (long, "cpu", 10, 5 * 3600.0), (short, "cpu", 10, 3600.0))
    runs = [planned(one) for one in (long, short, short, short)]
    hours = [Estimate(rates, processes=count).cost(runs).wall_hours for count in (1, 2, 9)]
    assert hours == pytest.approx([8.0, 5.0, 5.0])


def test_runs_on_auto_are_counted_for_the_machine_that_will_run_them() -> None:
    runs = [planned(tiny_experiment(), device) for device in ("auto", "cpu", "cuda")]
    there, here = (Estimate(NOTHING_KNOWN, auto).cost(runs) for auto in (GPU, CPU))
    on = {kind: NOTHING_KNOWN.seconds(tiny_experiment(), kind) / 3600 for kind in (CPU, GPU)}
    assert on[CPU] > START_SECONDS[CPU] / 3600
    assert there.hours == pytest.approx({GPU: 2 * on[GPU], CPU: on[CPU]})
    assert here.hours == pytest.approx({GPU: on[GPU], CPU: 2 * on[CPU]})
