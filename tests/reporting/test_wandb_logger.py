"""Weights & Biases for real: runs are logged offline, and `wandb sync` uploads them to a server of the test's own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import wandb
from fake_events import RUN_ID, epoch_end, round_end, run_end, run_start
from wandb_server import Upload, WandbServer

import reinit_bench
from reinit_bench.reporting.loggers import WandbLogger
from reinit_bench.training.observer import Observer

RESULTS = Path("results")


def offline(results_dir: Path = RESULTS) -> WandbLogger:
    return WandbLogger(mode="offline", results_dir=results_dir, project="mine", entity="lab")


def train(observer: Observer, first_step: int = 0, stop: int = 4) -> None:
    """Two rounds of two epochs of three steps, from `first_step` up to epoch number `stop`."""
    observer.run_started(run_start(rounds=2, steps_per_round=6, first_step=first_step))
    for earlier in range(6, first_step + 1, 6):  # the rounds that an earlier attempt has finished
        observer.round_ended(round_end(index=earlier // 6, steps=6, total_step=earlier))
    for epoch in range(first_step // 3, stop):
        total = 3 * epoch + 3
        losses = [1 / step for step in range(total - 2, total + 1)]
        at = {"round_index": epoch // 2 + 1, "epoch": epoch % 2 + 1, "step": total - epoch // 2 * 6}
        observer.epoch_ended(epoch_end(**at, total_step=total, losses=losses))
        if epoch % 2:
            observer.round_ended(round_end(index=epoch // 2 + 1, steps=6, total_step=total))


def end(logger: WandbLogger, state: str = "done", **summary: Any) -> None:
    """End the run, and W&B as at the end of a process: only then is its file complete."""
    logger.run_ended(run_end(state, **summary))
    wandb.teardown()


def synced(server: WandbServer, command: str = "") -> list[Upload]:
    """What the server has after this command line, or after the `wandb sync` of each folder of the run."""
    folders = sorted(RESULTS.glob(f"wandb/offline-run-*-{RUN_ID}*"))
    for words in command.split("; ") if command else [f"wandb sync {folder}" for folder in folders]:
        environment = {**os.environ, "WANDB_BASE_URL": server.url, "WANDB_API_KEY": "a" * 40}
        subprocess.run([sys.executable, "-m", *shlex.split(words)], env=environment, check=True, timeout=120)
    return server.uploads


def in_own_process(code: str) -> subprocess.CompletedProcess[str]:
    """Run `code`, which may import from this folder, in another process."""
    paths = os.pathsep.join([str(Path(reinit_bench.__file__).parents[1]), str(Path(__file__).parent)])
    environment = {**os.environ, "PYTHONPATH": paths}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, start_new_session=True
    )


def test_everything_that_was_logged_is_uploaded(server: WandbServer, capfd: pytest.CaptureFixture[str]) -> None:
    logger = offline()
    train(logger)
    end(logger, config={"seed": 0})
    [folder] = (RESULTS / "wandb").iterdir()
    assert list(Path.cwd().iterdir()) == [Path.cwd() / RESULTS]
    assert capfd.readouterr() == ("", f"W&B: logged offline; `wandb sync {folder}` uploads it\n")

    [upload] = synced(server)
    run = upload.run
    assert (run["name"], run["project"], run["entity"], run["groupName"]) == (RUN_ID, "mine", "lab", "table2")
    assert run["displayName"] == "digits scnn lw seed 0"
    config = json.loads(run["config"])
    assert (config["model"]["value"], config["seed"]["value"]) == ({"name": "scnn", "width": 0.5}, 0)

    assert upload.column("loss") == {step: 1 / step for step in range(1, 13)}
    assert upload.column("epoch/train_accuracy") == dict.fromkeys((3, 6, 9, 12), 0.91)
    assert upload.column("epoch/validation_accuracy") == dict.fromkeys((3, 6, 9, 12), 0.902)
    assert upload.column("epoch/lr") == dict.fromkeys((3, 6, 9, 12), 0.01)
    assert upload.column("epoch/round") == {3: 1, 6: 1, 9: 2, 12: 2}
    assert upload.column("round/test_accuracy") == {6: 0.932, 12: 0.932}
    assert upload.column("round/seconds") == {6: 8.06, 12: 8.06}

    last = upload.summary
    assert (last["test_accuracy"], last["train_accuracy"], last["state"]) == (0.932, 0.991, "done")
    assert (last["round 1/test_accuracy"], last["round 2/validation_accuracy"]) == (0.932, 0.95)
    assert "config" not in last
    assert upload.exit_code == 0


@pytest.mark.slow
def test_a_resumed_run_stays_one_run_and_its_last_line_uploads_all_of_it(
    server: WandbServer, capfd: pytest.CaptureFixture[str]
) -> None:
    first = offline()
    train(first, stop=3)
    end(first, "interrupted")
    second = offline()
    train(second, first_step=9)
    end(second)
    command = capfd.readouterr().err.splitlines()[-1].split("`")[1]
    before, after = synced(server, command)
    assert before.run["name"] == after.run["name"] == RUN_ID
    assert (before.is_resumed, after.is_resumed) == (False, True)
    assert (before.steps, after.steps) == (list(range(1, 10)), [10, 11, 12])
    assert (before.summary["state"], before.exit_code, before.is_preempted) == ("interrupted", 1, True)
    assert after.summary["round 1/test_accuracy"] == 0.932


@pytest.mark.slow
def test_a_failed_run_is_marked_as_one_and_that_which_starts_over_is_logged_from_its_first_step(
    server: WandbServer,
) -> None:
    first, second = offline(), offline()
    train(first, stop=1)
    end(first, "failed", error="the loss is NaN")
    train(second)
    end(second)
    failed, whole = synced(server)
    assert (failed.summary["state"], failed.summary["error"], failed.exit_code) == ("failed", "the loss is NaN", 1)
    assert (failed.steps, whole.steps) == ([1, 2, 3], list(range(1, 13)))
    assert (failed.is_resumed, whole.is_resumed) == (False, False)


KILLED = """
import os, signal, time
from pathlib import Path
from fake_events import epoch_end
from test_wandb_logger import offline, train

logger = offline()
train(logger, stop=2)
for epoch in range(3, 10_000):
    logger.epoch_ended(epoch_end(total_step=3 * epoch))
    [file] = list(Path("results").glob("wandb/*/*.wandb")) or [None]
    if file and file.stat().st_size > 40_000:
        os.killpg(0, signal.SIGKILL)  # W&B's own process too, as when a node fails
    time.sleep(0.001)
"""


@pytest.mark.slow
@pytest.mark.parametrize("torn", [0, 9])
def test_what_a_killed_run_had_logged_is_uploaded(
    server: WandbServer, capfd: pytest.CaptureFixture[str], torn: int
) -> None:
    """`wandb sync` takes its file as it is, also where it ends within a record."""
    killed = in_own_process(KILLED)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    [file] = RESULTS.glob("wandb/*/*.wandb")
    os.truncate(file, file.stat().st_size - torn)
    second = offline()
    train(second, first_step=6)
    end(second)
    before, after = synced(server, capfd.readouterr().err.splitlines()[-1].split("`")[1])
    assert before.steps == list(range(1, len(before.steps) + 1))
    assert len(before.steps) > 100
    assert (after.steps, after.is_resumed) == (list(range(7, 13)), True)


def test_a_folder_that_cannot_be_written_costs_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "wandb").write_text("not a folder")
    logger = offline(tmp_path)
    train(logger)
    end(logger)
    line = f"W&B: [Errno 17] File exists: '{tmp_path / 'wandb'}'; training continues without logging to W&B\n"
    assert capfd.readouterr() == ("", line)


WANDB_DIES = """
import time
from pathlib import Path
import psutil
from fake_events import epoch_end, run_end, run_start
from test_wandb_logger import offline, train

logger = offline(Path("first"))
logger.run_started(run_start())
logger.epoch_ended(epoch_end())
while not any(Path("first").glob("wandb/*/*.wandb")):
    time.sleep(0.05)
[core] = [child for child in psutil.Process().children() if child.name() == "wandb-core"]
core.kill()
core.wait()
logger.epoch_ended(epoch_end(total_step=6))
logger.run_ended(run_end())

logger = offline(Path("results"))
train(logger)
logger.run_ended(run_end())
"""


@pytest.mark.slow
def test_the_death_of_wandb_costs_one_line_and_the_next_run_is_logged(server: WandbServer) -> None:
    process = in_own_process(WANDB_DIES)
    warning, notice = process.stderr.splitlines()
    assert (process.returncode, process.stdout) == (0, "")
    assert warning.startswith("W&B: ")
    assert warning.endswith("; training continues without logging to W&B")
    assert notice.startswith("W&B: logged offline; ")
    [upload] = synced(server)
    assert upload.steps == list(range(1, 13))
