"""Checkpoints are written in the background: from a copy, in order, to the end, and no error is lost."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from factories import tiny_experiment
from observers import InterruptAfter
from training_helpers import mlp

from reinit_bench.core.config import Execution
from reinit_bench.run import record as record_module
from reinit_bench.run.experiment import run_experiment
from reinit_bench.run.record import Record
from reinit_bench.store.files import Fence, StoreError
from reinit_bench.training.checkpoint import BackgroundWriter, read_checkpoint, save_checkpoint, snapshot
from reinit_bench.training.interrupt import Interrupt, Interrupted
from reinit_bench.training.loop import RoundState
from reinit_bench.training.observer import Observer


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


def test_a_snapshot_shares_no_tensor_and_no_container() -> None:
    inner = torch.zeros(2)
    value = {"a": [inner, {"b": (inner, 3)}], "c": "text"}
    copy = snapshot(value)
    inner.fill_(1.0)
    value["a"].append(4)  # type: ignore[attr-defined]
    assert copy["a"][0].tolist() == copy["a"][1]["b"][0].tolist() == [0.0, 0.0]
    assert (len(copy["a"]), copy["a"][1]["b"][1], copy["c"]) == (2, 3, "text")


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


def test_an_interrupted_run_ends_only_when_its_checkpoint_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = []

    def slow(folder: Path, state: dict[str, dict[str, int]], fence: Fence) -> None:
        threading.Event().wait(0.2)
        save_checkpoint(folder, state, fence)
        ended.append(state["round"]["step"])

    monkeypatch.setattr(record_module, "save_checkpoint", slow)
    observer, experiment = InterruptAfter(4), tiny_experiment()
    with pytest.raises(Interrupted):
        run_experiment(
            experiment, Execution(results_dir=tmp_path, device="cpu"), observer=observer, interrupt=observer.interrupt
        )
    assert ended == [0, 3, 4]
    path = tmp_path / "runs" / experiment.run_id / "checkpoint.pt"
    assert read_checkpoint(path, torch.device("cpu"))["round"]["step"] == 4


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
