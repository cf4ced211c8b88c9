"""The expected time of runs: measured if a finished run has the same settings, otherwise by the stated model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories import make_config, tiny_experiment, write_result

from reinit_bench.core.config import Execution, Experiment, Trainer
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
        (("method=bl", "trainer.max_steps=100000", "trainer.patience_epochs=240"), 2.8 * 337.5),
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


@pytest.mark.parametrize(("on", "overhead"), [(CPU, 0.0004 * 4), (GPU, 0.003)])
def test_a_steps_arithmetic_grows_with_the_batch_the_pixels_and_the_width(on: str, overhead: float) -> None:
    def arithmetic(*overrides: str) -> float:
        experiment = tiny_experiment("image_size=32", "model.width=0.5", "trainer.batch_size=16", *overrides)
        return modelled_step(experiment, on) - overhead

    one = arithmetic()
    macs = float(tiny_experiment().model["_giga_macs_"]) * 1e9 * (32 / 224) ** 2 * 0.5
    assert one == pytest.approx(16 * 3 * 2 * macs / FLOPS_PER_SECOND[on])
    assert arithmetic("trainer.batch_size=32") == pytest.approx(2 * one)
    assert arithmetic("image_size=96") == pytest.approx(9 * one)
    assert arithmetic("model.width=1") == pytest.approx(2 * one)


def modelled(seconds: float) -> Any:
    """Within a third of what was measured, in seconds of one process on a CPU core."""
    return pytest.approx(seconds, rel=1 / 3)


def test_the_model_is_near_what_was_measured_on_two_cores() -> None:
    """Table 1: 1,800 runs in 40 minutes; `study=rows`: a step of 0.083 s, and LW's four rounds of 100 epochs."""
    synthetic = tiny_experiment("dataset=synthetic", "model=mlp", "image_size=null", "method.repeats=3")
    table_1 = replace(synthetic, model=make_config("model=mlp")["model"], trainer=trainer("synthetic"))
    assert NOTHING_KNOWN.seconds(table_1, CPU) == modelled(2 * 40 * 60 / 1800)
    row = tiny_experiment("dataset.train_examples=5000", "image_size=32", "trainer=paper", "trainer.batch_size=256")
    row = replace(row, trainer=trainer("paper"))
    assert modelled_step(row, CPU) == modelled(0.083)
    assert modelled_steps(row) == modelled(7434)
    assert modelled_steps(replace(row, method=make_config("method=bl")["method"])) == modelled(1764)


def trainer(option: str) -> Trainer:
    return Experiment.from_dict(make_config(f"trainer={option}")).trainer


def measured(tmp_path: Path, *runs: tuple[Experiment, str, int, float]) -> Rates:
    """The rates of a store with these finished runs: experiment, device, steps, seconds."""
    for experiment, device, steps, seconds in runs:
        write_result(tmp_path, experiment, device=device, steps=steps, wall_seconds=seconds)
    return Rates.of(Store(tmp_path))


def test_measured_steps_and_step_times_replace_the_model(tmp_path: Path) -> None:
    """The seed does not matter."""
    seeds = [tiny_experiment(f"seed={seed}") for seed in range(3)]
    rates = measured(tmp_path, (seeds[0], "cuda", 10, 1.0), (seeds[1], "cuda", 30, 9.0))
    assert rates.seconds(seeds[2], GPU) == pytest.approx(20 * 0.2)  # their start is in their time
    assert rates.is_measured(seeds[2], GPU)
    assert not rates.is_measured(seeds[2], CPU)
    # Another method takes other steps of the same cost; another width, other steps altogether.
    other = tiny_experiment("method=fc")
    assert rates.seconds(other, GPU) == pytest.approx(modelled_steps(other) * 0.2)
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
        "about 11 days left with 4 processes here (1,080 CPU-hours); all step times measured"
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


def test_processes_share_the_runs_and_none_ends_before_the_longest(tmp_path: Path) -> None:
    long, short = tiny_experiment("image_size=16"), tiny_experiment()
    rates = measured(tmp_path, (long, "cpu", 10, 5 * 3600.0), (short, "cpu", 10, 3600.0))
    runs = [planned(one) for one in (long, short, short, short)]
    hours = [Estimate(rates, processes=count).cost(runs).wall_hours for count in (1, 2, 9)]
    assert hours == pytest.approx([8.0, 5.0, 5.0])


def test_runs_are_counted_for_the_machine_that_will_run_them_and_share_its_gpu() -> None:
    runs = [planned(tiny_experiment(), device) for device in ("auto", "cpu", "cuda")]
    there, here = (Estimate(NOTHING_KNOWN, auto).cost(runs) for auto in (GPU, CPU))
    on = {kind: NOTHING_KNOWN.seconds(tiny_experiment(), kind) / 3600 for kind in (CPU, GPU)}
    assert on[CPU] > START_SECONDS[CPU] / 3600
    assert there.hours == pytest.approx({GPU: 2 * on[GPU], CPU: on[CPU]})
    assert here.hours == pytest.approx({GPU: on[GPU], CPU: 2 * on[CPU]})
    assert Estimate(NOTHING_KNOWN, GPU, 4, 4).cost(runs).hours == pytest.approx({GPU: on[GPU] / 2, CPU: on[CPU]})
