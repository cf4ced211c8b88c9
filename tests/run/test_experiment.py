"""One experiment: what it leaves in the store, done once, failures kept, bit-equal after interruptions.

Kills are in `test_crash_points`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from factories import tiny_experiment
from observers import InterruptAfter
from run_files import read_jsonl, run_files, without_times

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.settings import ConfigError
from reinit_bench.core.version import __version__
from reinit_bench.run.experiment import run_experiment
from reinit_bench.training.checkpoint import read_checkpoint, save_checkpoint
from reinit_bench.training.interrupt import Interrupted
from reinit_bench.training.observer import Observer, RunStart
from reinit_bench.training.round import Diverged


def test_a_finished_run_leaves_all_of_its_files(tmp_path: Path) -> None:
    experiment = tiny_experiment("method=lw")
    result = run_experiment(experiment, Execution(results_dir=tmp_path, study="demo"))
    folder = tmp_path / "runs" / experiment.run_id
    assert {path.name for path in folder.iterdir()} - {".lock"} == {
        "config.yaml",
        "rounds.jsonl",
        "history.jsonl",
        "diagnostics.npz",
        "status.json",
        "result.json",
    }
    assert json.loads((folder / "result.json").read_text()) == result
    assert Experiment.from_dict(yaml.safe_load((folder / "config.yaml").read_text())).run_id == experiment.run_id
    rounds = read_jsonl(folder / "rounds.jsonl")
    assert [(row["index"], row["block"], row["repeat"], row["steps"]) for row in rounds] == [
        (1, 1, 1, 8),
        (2, 2, 1, 8),
        (3, 3, 1, 8),
        (4, 4, 1, 8),
    ]
    assert (result["test_accuracy"], result["steps"], result["rounds"]) == (rounds[-1]["test_accuracy"], 32, 4)
    history = read_jsonl(folder / "history.jsonl")
    assert [(row["round"], row["epoch"], row["step"], row["total_step"]) for row in history[:3]] == [
        (1, 1, 4, 4),
        (1, 2, 8, 8),
        (2, 1, 4, 12),
    ]
    status = json.loads((folder / "status.json").read_text())
    assert (status["state"], status["attempt"], status["error"]) == ("done", 1, None)
    assert (result["study"], result["device"], result["versions"]["reinit_bench"]) == ("demo", "cpu", __version__)


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    class Started(Observer):
        def run_started(self, event: RunStart) -> None:
            raise AssertionError("it was run again")

    execution = Execution(results_dir=tmp_path)
    first = run_experiment(tiny_experiment("method=bl"), execution)
    assert run_experiment(tiny_experiment("method=bl"), execution, observer=Started()) == first


def test_a_corrupt_result_is_set_aside_and_the_run_repeated(tmp_path: Path) -> None:
    experiment, execution = tiny_experiment("method=fc"), Execution(results_dir=tmp_path)
    first = run_experiment(experiment, execution)
    folder = tmp_path / "runs" / experiment.run_id
    (folder / "result.json").write_text('{"run_id": "torn')
    with pytest.warns(UserWarning, match=r"result\.json is corrupt: not JSON .* running again"):
        again = run_experiment(experiment, execution)
    assert without_times(again) == without_times(first)
    assert [path.read_text() for path in folder.glob("result.corrupt-*.json")] == ['{"run_id": "torn']


def test_of_a_wrong_setting_the_status_has_the_message_and_no_traceback(tmp_path: Path) -> None:
    experiment = tiny_experiment("dataset.validation_examples=5000")
    with pytest.raises(ConfigError) as error:
        run_experiment(experiment, Execution(results_dir=tmp_path))
    status = json.loads((tmp_path / "runs" / experiment.run_id / "status.json").read_text())
    assert (status["state"], status["error_kind"], status["error"]) == ("failed", "ConfigError", str(error.value))


def test_a_diverging_run_fails_and_keeps_its_history(tmp_path: Path) -> None:
    experiment, execution = tiny_experiment("trainer.lr=1e8"), Execution(results_dir=tmp_path)
    with pytest.raises(Diverged, match=r"the loss became nan in round 1 at step \d") as error:
        run_experiment(experiment, execution)
    folder = tmp_path / "runs" / experiment.run_id
    status = json.loads((folder / "status.json").read_text())
    assert (status["state"], status["error_kind"]) == ("failed", "Diverged")
    assert str(error.value) in status["error"]
    assert not (folder / "result.json").exists()
    assert (folder / "history.jsonl").exists()


def test_a_setting_out_of_range_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"method\.fraction must be a number above 0 and at most 1; got 2"):
        run_experiment(tiny_experiment("method=wels", "method.fraction=2"), Execution(results_dir=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_freezing_cannot_be_combined_with_a_carried_optimizer(tmp_path: Path) -> None:
    experiment = tiny_experiment("method.freeze=true", "trainer.optimizer_between_rounds=carry")
    with pytest.raises(ConfigError, match="carry cannot be used with a method that freezes"):
        run_experiment(experiment, Execution(results_dir=tmp_path))


DRAWS_AND_CARRIES = ("method=lw", "dropout=p25", "trainer.optimizer_between_rounds=carry")
"""Draws from every stream, with an augmentation, and carries its optimizer over."""


@pytest.mark.slow
@pytest.mark.parametrize("augmentation", ["mild", "standard", "randaugment"])
def test_a_run_that_is_interrupted_again_and_again_ends_bit_equal(tmp_path: Path, augmentation: str) -> None:
    experiment = tiny_experiment(*DRAWS_AND_CARRIES, f"augmentation={augmentation}")
    run_experiment(experiment, Execution(results_dir=tmp_path / "uncut"))
    execution = Execution(results_dir=tmp_path / "cut")
    for steps in (1, 2, 1, 5, 8, 14):  # after 1, 3, 4, 9, 17 and 31 of 32 steps: within and between rounds and epochs
        observer = InterruptAfter(steps)
        with pytest.raises(Interrupted):
            run_experiment(experiment, execution, observer=observer, interrupt=observer.interrupt)
    assert run_experiment(experiment, execution)["attempts"] == 7
    assert run_files(tmp_path / "cut", experiment.run_id) == run_files(tmp_path / "uncut", experiment.run_id)


def test_a_resumed_run_keeps_its_number_of_threads_and_counts_its_earlier_time(tmp_path: Path) -> None:
    """The number of threads decides the order of summation, and with it the last bits."""
    experiment, execution = tiny_experiment(*DRAWS_AND_CARRIES), Execution(results_dir=tmp_path)
    observer = InterruptAfter(9)
    with pytest.raises(Interrupted):
        run_experiment(experiment, execution, observer=observer, interrupt=observer.interrupt)
    folder, cpu = tmp_path / "runs" / experiment.run_id, torch.device("cpu")
    checkpoint = read_checkpoint(folder / "checkpoint.pt", cpu)
    assert checkpoint["threads"] == 1
    save_checkpoint(folder, {**checkpoint, "seconds": checkpoint["seconds"] + 1000.0})
    torch.set_num_threads(2)
    result = run_experiment(experiment, execution)
    assert torch.get_num_threads() == 1
    assert 1000.0 < result["wall_seconds"] < 1300.0


def test_another_runs_checkpoint_is_not_resumed(tmp_path: Path) -> None:
    experiments = [tiny_experiment("method=lw", f"seed={seed}") for seed in range(2)]
    uncut = run_experiment(experiments[0], Execution(results_dir=tmp_path / "uncut"))
    for experiment in experiments:
        observer = InterruptAfter(13)
        with pytest.raises(Interrupted):
            run_experiment(experiment, Execution(results_dir=tmp_path), observer=observer, interrupt=observer.interrupt)
    own, other = (tmp_path / "runs" / one.run_id / "checkpoint.pt" for one in experiments)
    own.with_name("checkpoint.previous.pt").unlink()
    own.write_bytes(other.read_bytes())
    with pytest.warns(UserWarning, match=rf"belongs to another run \({experiments[1].run_id}\); starting from scratch"):
        result = run_experiment(experiments[0], Execution(results_dir=tmp_path))
    assert result["weights_sha256"] == uncut["weights_sha256"]


def test_a_torn_checkpoint_is_named_and_the_previous_one_used(tmp_path: Path) -> None:
    experiment = tiny_experiment("method=lw", "trainer.checkpoint_every=2")
    run_experiment(experiment, Execution(results_dir=tmp_path / "uncut"))
    execution, observer = Execution(results_dir=tmp_path / "cut"), InterruptAfter(13)  # round 2, step 5
    with pytest.raises(Interrupted):
        run_experiment(experiment, execution, observer=observer, interrupt=observer.interrupt)
    checkpoint = tmp_path / "cut" / "runs" / experiment.run_id / "checkpoint.pt"
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    started: list[RunStart] = []

    class Watch(Observer):
        def run_started(self, event: RunStart) -> None:
            started.append(event)

    with pytest.warns(UserWarning, match=r"checkpoint\.pt is truncated or altered: its checksum does not match"):
        run_experiment(experiment, execution, observer=Watch())
    assert started[0].first_step == 12  # the one before: round 2, step 4
    assert run_files(tmp_path / "cut", experiment.run_id) == run_files(tmp_path / "uncut", experiment.run_id)
