"""Checkpoints: written in the background from a copy; damage is noticed; after a kill the newest whole one is found."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from bits import bit_equal
from factories import tiny_experiment
from observers import InterruptAfter
from training_helpers import mlp

from reinit_bench.core.config import Execution
from reinit_bench.run import record as record_module
from reinit_bench.run.experiment import run_experiment
from reinit_bench.run.record import Record
from reinit_bench.store.files import Fence, StoreError
from reinit_bench.training.checkpoint import (
    NAME,
    PREVIOUS,
    BackgroundWriter,
    CorruptCheckpoint,
    latest_checkpoint,
    read_checkpoint,
    save_checkpoint,
    snapshot,
)
from reinit_bench.training.interrupt import Interrupt, Interrupted
from reinit_bench.training.observer import Observer
from reinit_bench.training.round import RoundState

CPU = torch.device("cpu")
RUN = "0123456789abcdef"


class Killed(BaseException):
    """Stands for a kill between two file operations."""


def numbered(number: int) -> dict[str, Any]:
    return {"number": number, "weights": torch.full((2, 3), float(number))}


def found(folder: Path) -> int | None:
    """The number of the newest complete checkpoint; there must be no problem to report."""
    state, problems = latest_checkpoint(folder, CPU, RUN)
    assert problems == []
    return None if state is None else int(state["number"])


def kill_at_rename_of(name: str, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """While `monkeypatch` lasts, renaming the file `name` raises."""
    replace = Path.replace

    def replace_or_die(self: Path, target: Path) -> Path:
        if self.name == name:
            raise error
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_or_die)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    state = {
        "net": {"w": torch.tensor([[1.5, -0.0], [float("inf"), 1e-45]]), "n": torch.tensor(3)},
        "round": {"step": 3, "lr": 0.003, "losses": [0.1, 0.2], "best": {}, "loss": float("inf")},
        "last_optimizer": None,
    }
    save_checkpoint(tmp_path, state)
    assert bit_equal(read_checkpoint(tmp_path / NAME, CPU), state)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_an_empty_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path, CPU, RUN) == (None, [])
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / NAME, CPU)


def test_only_the_previous_checkpoint_is_kept(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        save_checkpoint(tmp_path, numbered(number))
    assert {path.name for path in tmp_path.iterdir()} == {NAME, PREVIOUS}
    assert read_checkpoint(tmp_path / NAME, CPU)["number"] == 3
    assert read_checkpoint(tmp_path / PREVIOUS, CPU)["number"] == 2
    assert found(tmp_path) == 3


def test_a_flipped_bit_and_a_cut_anywhere_are_found(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, numbered(1))
    path = tmp_path / NAME
    content = path.read_bytes()
    for position in range(len(content)):
        altered = bytearray(content)
        altered[position] ^= 1 << position % 8
        for harmed in (bytes(altered), content[:position]):
            path.write_bytes(harmed)
            with pytest.raises(CorruptCheckpoint):
                read_checkpoint(path, CPU)


def test_if_every_checkpoint_is_damaged_all_are_named(tmp_path: Path) -> None:
    for number in (1, 2):
        save_checkpoint(tmp_path, numbered(number))
    (tmp_path / NAME).write_bytes(b"PK\x03\x04 something else's file")
    (tmp_path / PREVIOUS).write_bytes(b"")
    assert latest_checkpoint(tmp_path, CPU, RUN) == (
        None,
        [
            f"{tmp_path / NAME} is not a checkpoint; starting from scratch",
            f"{tmp_path / PREVIOUS} is not a checkpoint; starting from scratch",
        ],
    )


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class MakesAFolder:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    buffer = io.BytesIO()
    torch.save({"number": MakesAFolder()}, buffer)
    payload = buffer.getvalue()
    framed = b"reinit-bench checkpoint 1\n" + hashlib.sha256(payload).digest() + payload
    (tmp_path / NAME).write_bytes(framed)
    assert latest_checkpoint(tmp_path, CPU, RUN) == (
        None,
        [f"{tmp_path / NAME} is not a checkpoint: it holds more than tensors and plain values; starting from scratch"],
    )
    assert not (tmp_path / "ran").exists()


def test_a_file_system_error_is_reported_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, numbered(1))
    with monkeypatch.context() as patch:
        kill_at_rename_of(NAME, patch, OSError(5, "disk gone"))
        with pytest.raises(StoreError, match=r"cannot write .*checkpoint\.pt: disk gone"):
            save_checkpoint(tmp_path, numbered(2))
    assert found(tmp_path) == 2
    assert read_checkpoint(tmp_path / NAME, CPU)["number"] == 1


def test_a_folder_in_a_checkpoints_place_is_named(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, numbered(1))
    (tmp_path / NAME).rename(tmp_path / PREVIOUS)
    (tmp_path / NAME).mkdir()
    state, problems = latest_checkpoint(tmp_path, CPU, RUN)
    assert state is not None
    assert state["number"] == 1
    assert problems == [f"{tmp_path / NAME} cannot be read: Is a directory; using the previous one"]
    with pytest.raises(StoreError, match=r"cannot write .*checkpoint\.pt"):
        save_checkpoint(tmp_path, numbered(2))


def test_jobs_run_in_the_background_one_at_a_time_and_in_order() -> None:
    writer, gate, done = BackgroundWriter(), threading.Event(), list[int]()

    def slow() -> None:
        gate.wait(10)
        done.append(1)

    writer.submit(slow)
    assert done == []
    gate.set()
    writer.submit(lambda: done.append(2))
    writer.wait()
    assert done == [1, 2]
    writer.wait()


def test_an_error_is_raised_once_by_the_next_call() -> None:
    def fail() -> None:
        raise StoreError("disk full")

    writer, done = BackgroundWriter(), list[int]()
    for call in (writer.wait, lambda: writer.submit(lambda: done.append(1))):
        writer.submit(fail)
        with pytest.raises(StoreError, match="disk full"):
            call()
    writer.wait()
    assert done == []


def test_a_checkpoint_holds_the_state_at_the_time_of_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def gated(folder: Path, state: dict[str, object], fence: Fence) -> None:
        gate.wait(10)
        save_checkpoint(folder, state, fence)

    monkeypatch.setattr(record_module, "save_checkpoint", gated)
    net, experiment, execution = mlp(), tiny_experiment(), Execution(results_dir=tmp_path)
    before = snapshot(net.state_dict())
    state = RoundState(step=3, losses=[1.0], best=net.state_dict())
    record = Record(experiment, execution, Observer(), Interrupt())
    record.save(net, state)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    state.step, state.losses[0] = 9, 7.0
    gate.set()
    record.fail(Interrupted())
    found = read_checkpoint(tmp_path / "runs" / experiment.run_id / "checkpoint.pt", torch.device("cpu"))
    assert all(torch.equal(found["net"][name], value) for name, value in before.items())
    assert all(torch.equal(found["round"]["best"][name], value) for name, value in before.items())
    assert (found["round"]["step"], found["round"]["losses"]) == (3, [1.0])


def test_a_checkpoint_that_cannot_be_written_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even the last one, at an interrupt: otherwise the run would wrongly count as resumable."""

    def full(folder: Path, state: dict[str, dict[str, int]], fence: Fence) -> None:
        if state["round"]["step"] == 4:
            raise StoreError("disk full")
        save_checkpoint(folder, state, fence)

    monkeypatch.setattr(record_module, "save_checkpoint", full)
    observer, experiment = InterruptAfter(4), tiny_experiment()
    execution = Execution(results_dir=tmp_path, device="cpu")
    with pytest.raises(StoreError, match="disk full"):
        run_experiment(experiment, execution, observer=observer, interrupt=observer.interrupt)
    assert '"failed"' in (tmp_path / "runs" / experiment.run_id / "status.json").read_text()
