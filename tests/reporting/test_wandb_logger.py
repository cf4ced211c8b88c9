"""Weights & Biases for real, in offline mode: what was logged is read back from the file that `wandb` wrote."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import wandb
from fake_events import RUN_ID, epoch_end, round_end, run_end, run_start
from wandb.proto.wandb_internal_pb2 import Record

import reinit_bench
from reinit_bench.reporting.wandb_file import records
from reinit_bench.reporting.wandb_logger import WandbLogger
from reinit_bench.training.observer import Observer


def offline(results_dir: Path) -> WandbLogger:
    return WandbLogger(mode="offline", results_dir=results_dir, project="mine", entity="lab")


def train(observer: Observer, first_step: int = 0, stop: int = 4) -> None:
    """Two rounds of two epochs of three steps, from `first_step` up to epoch number `stop`."""
    observer.run_started(run_start(rounds=2, steps_per_round=6, first_step=first_step))
    for epoch in range(first_step // 3, stop):
        total = 3 * epoch + 3
        losses = [1 / step for step in range(total - 2, total + 1)]
        place = {"round_index": epoch // 2 + 1, "epoch": epoch % 2 + 1, "step": total - epoch // 2 * 6}
        observer.epoch_ended(epoch_end(**place, total_step=total, losses=losses))
        if epoch % 2:
            observer.round_ended(round_end(index=epoch // 2 + 1, steps=6, total_step=total))


def end(logger: WandbLogger, state: str = "done", **summary: Any) -> None:
    """End the run, and W&B as at the end of a process: only then is its file complete."""
    logger.run_ended(run_end(state, **summary))
    wandb.teardown()


def segments(results_dir: Path) -> list[list[Any]]:
    """The records of each of the run's files, oldest first."""
    paths = sorted(results_dir.glob(f"wandb/offline-run-*-{RUN_ID}*/run-{RUN_ID}.wandb"))
    return [[Record.FromString(payload) for payload, _ in records(path)] for path in paths]


def history(logged: list[Any]) -> dict[int, dict[str, Any]]:
    """The rows of a file by their step; no step twice."""
    rows = [record.history for record in logged if record.HasField("history")]
    by_step = {
        row.step.num: {".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in row.item} for row in rows
    }
    assert len(by_step) == len(rows)
    return by_step


def summary(logged: list[Any]) -> dict[str, Any]:
    updates = [item for record in logged if record.HasField("summary") for item in record.summary.update]
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in updates}


def run_record(logged: list[Any]) -> Any:
    return next(record.run for record in logged if record.HasField("run"))


def wait_for_step(step: int, results_dir: Path) -> None:
    """Wait until W&B, which writes in the background, has written this step."""
    while not any(step in history(logged) for logged in segments(results_dir)):
        time.sleep(0.05)


def in_own_process(code: str) -> subprocess.CompletedProcess[str]:
    """Run `code`, which may import from this folder, in another process."""
    paths = os.pathsep.join([str(Path(reinit_bench.__file__).parents[1]), str(Path(__file__).parent)])
    environment = {**os.environ, "PYTHONPATH": paths}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def only(rows: dict[int, dict[str, Any]], name: str) -> dict[int, Any]:
    return {step: row[name] for step, row in rows.items() if name in row}


def test_everything_that_was_logged_is_in_the_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logger = offline(tmp_path)
    train(logger)
    end(logger, config={"seed": 0})
    [logged] = segments(tmp_path)

    run = run_record(logged)
    assert (run.run_id, run.project, run.entity, run.run_group) == (RUN_ID, "mine", "lab", "table2")
    assert run.display_name == "digits scnn lw seed 0"
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert (config["model"], config["seed"]) == ({"name": "scnn", "width": 0.5}, 0)

    rows = history(logged)
    assert only(rows, "loss") == {step: 1 / step for step in range(1, 13)}
    assert only(rows, "epoch/train_accuracy") == dict.fromkeys((3, 6, 9, 12), 0.91)
    assert only(rows, "epoch/validation_accuracy") == dict.fromkeys((3, 6, 9, 12), 0.902)
    assert only(rows, "epoch/lr") == dict.fromkeys((3, 6, 9, 12), 0.01)
    assert only(rows, "epoch/round") == {3: 1, 6: 1, 9: 2, 12: 2}
    assert only(rows, "round/test_accuracy") == {6: 0.932, 12: 0.932}
    assert only(rows, "round/seconds") == {6: 8.06, 12: 8.06}

    last = summary(logged)
    assert (last["test_accuracy"], last["train_accuracy"], last["state"]) == (0.932, 0.991, "done")
    assert (last["round 1/test_accuracy"], last["round 2/validation_accuracy"]) == (0.932, 0.95)
    assert "config" not in last
    assert [record.exit.exit_code for record in logged if record.HasField("exit")] == [0]

    [folder] = (tmp_path / "wandb").iterdir()
    assert list(Path.cwd().iterdir()) == []
    out, err = capfd.readouterr()
    assert out == ""
    assert err == f"W&B: logged offline; `wandb sync {folder}` uploads it\n"


def test_a_resumed_run_stays_one_run_and_logs_no_step_twice(tmp_path: Path) -> None:
    first = offline(tmp_path)
    train(first, stop=3)
    end(first, "interrupted")
    second = offline(tmp_path)
    train(second, first_step=6)
    end(second)
    before, after = segments(tmp_path)

    assert run_record(before).run_id == run_record(after).run_id == RUN_ID
    assert (run_record(before).resume, run_record(after).resume) == (False, True)
    assert sorted(history(before)) == list(range(1, 10))
    assert sorted(history(after)) == [10, 11, 12]
    assert only(history(after), "loss") == {step: 1 / step for step in (10, 11, 12)}
    assert [record.exit.exit_code for record in before if record.HasField("exit")] == [1]
    assert [record for record in before if record.HasField("preempting")]
    assert summary(before)["state"] == "interrupted"


@pytest.mark.slow
def test_rounds_repeated_to_a_resumed_run_reach_only_its_summary(tmp_path: Path) -> None:
    first = offline(tmp_path)
    train(first, stop=2)
    end(first, "interrupted")
    second = offline(tmp_path)
    second.run_started(run_start(first_step=6))
    second.round_ended(round_end(index=1, steps=6, total_step=6))
    end(second)
    after = segments(tmp_path)[1]
    assert history(after) == {}
    assert summary(after)["round 1/test_accuracy"] == 0.932


@pytest.mark.slow
def test_a_restarted_run_is_logged_from_its_first_step(tmp_path: Path) -> None:
    for _ in range(2):
        logger = offline(tmp_path)
        train(logger)
        end(logger)
    assert [sorted(history(logged)) for logged in segments(tmp_path)] == [list(range(1, 13))] * 2
    assert [run_record(logged).resume for logged in segments(tmp_path)] == [False, False]


KILLED = """
import os, signal
from pathlib import Path
from test_wandb_logger import offline, train, wait_for_step

train(offline(Path("results")), stop=3)
wait_for_step(8, Path("results"))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_after_kill_9_the_resumed_run_logs_what_is_missing_and_nothing_twice() -> None:
    assert in_own_process(KILLED).returncode == -signal.SIGKILL
    second = offline(Path("results"))
    train(second, first_step=6)
    end(second)
    steps = [step for logged in segments(Path("results")) for step in history(logged)]
    assert steps == list(range(1, 13))


def test_a_failed_run_is_marked_as_one(tmp_path: Path) -> None:
    logger = offline(tmp_path)
    train(logger, stop=1)
    end(logger, "failed", error="the loss is NaN")
    [logged] = segments(tmp_path)
    assert (summary(logged)["state"], summary(logged)["error"]) == ("failed", "the loss is NaN")
    assert [record.exit.exit_code for record in logged if record.HasField("exit")] == [1]


def test_a_folder_that_cannot_be_written_costs_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "wandb").write_text("not a folder")
    logger = offline(tmp_path)
    train(logger)
    end(logger)
    out, err = capfd.readouterr()
    assert out == ""
    assert err == f"W&B: [Errno 17] File exists: '{tmp_path / 'wandb'}'; training continues without logging to W&B\n"


WANDB_DIES = """
from pathlib import Path
import psutil
from fake_events import epoch_end, run_end, run_start
from test_wandb_logger import offline, train, wait_for_step

logger = offline(Path("first"))
logger.run_started(run_start())
logger.epoch_ended(epoch_end())
wait_for_step(2, Path("first"))
[core] = [child for child in psutil.Process().children() if child.name() == "wandb-core"]
core.kill()
core.wait()
logger.epoch_ended(epoch_end(total_step=6))
logger.run_ended(run_end())

logger = offline(Path("second"))
train(logger)
logger.run_ended(run_end())
"""


@pytest.mark.slow
def test_the_death_of_wandb_costs_one_line_and_the_next_run_is_logged() -> None:
    process = in_own_process(WANDB_DIES)
    warning, notice = process.stderr.splitlines()
    assert process.returncode == 0
    assert process.stdout == ""
    assert warning.startswith("W&B: ")
    assert warning.endswith("; training continues without logging to W&B")
    assert notice.startswith("W&B: logged offline; ")
    assert sorted(history(segments(Path("second"))[0])) == list(range(1, 13))
