"""Diagnostics at the end of real runs: they change nothing, lose nothing and are the same after a resume."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import make_config, tiny_experiment
from observers import InterruptAfter
from run_files import run_files
from torch import nn

from reinit_bench import diagnostics
from reinit_bench.core.config import Execution, Experiment
from reinit_bench.data.task import Task, load_task
from reinit_bench.diagnostics import diagnose, found, write_diagnostics
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.run.experiment import Components, build_network, run_experiment
from reinit_bench.store.files import StoreError
from reinit_bench.store.store import RunFolder, Store
from reinit_bench.training.interrupt import Interrupted

MUCH = ("method=lw", "augmentation=mild", "dropout=p25", "trainer.optimizer_between_rounds=carry")


def measured(results: Path, experiment: Experiment) -> dict[str, np.ndarray]:
    arrays = Store(results).run(experiment.run_id).diagnostics()
    assert arrays is not None
    return arrays


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, Path]:
    """A run with diagnostics that nothing interrupted, and its results folder."""
    experiment, results = tiny_experiment(*MUCH), tmp_path_factory.mktemp("finished")
    run_experiment(experiment, Execution(results_dir=results))
    return experiment, results


def test_a_run_with_diagnostics_ends_as_one_without(finished: tuple[Experiment, Path], tmp_path: Path) -> None:
    experiment, results = finished
    run_experiment(experiment, Execution(results_dir=tmp_path, diagnostics=False))
    with_it, without = run_files(results, experiment.run_id), run_files(tmp_path, experiment.run_id)
    for row in with_it["rounds"]:
        assert row.pop("plasticity.effective_rank") > 1
        for name in [name for name in row if name.startswith("plasticity.")]:
            del row[name]
    assert with_it == without
    assert Store(tmp_path).run(experiment.run_id).diagnostics() is None
    arrays = measured(results, experiment)
    assert arrays["margins.smallest"].shape == (54,)
    assert arrays["sharpness.loss"].shape == (3, 8)
    assert arrays["weights.size"] > 0
    assert arrays["failures"].tolist() == []


@pytest.mark.parametrize("steps", [9, 31])
def test_a_resumed_run_leaves_the_same_diagnostics(
    finished: tuple[Experiment, Path], tmp_path: Path, steps: int
) -> None:
    experiment, results = finished
    execution, observer = Execution(results_dir=tmp_path), InterruptAfter(steps)
    with pytest.raises(Interrupted):
        run_experiment(experiment, execution, observer=observer, interrupt=observer.interrupt)
    assert Store(tmp_path).run(experiment.run_id).diagnostics() is None
    run_experiment(experiment, execution)
    assert run_files(tmp_path, experiment.run_id) == run_files(results, experiment.run_id)
    ours, theirs = measured(tmp_path, experiment), measured(results, experiment)
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_a_failed_diagnostic_is_reported_and_the_others_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(net: BlockNet, task: Task, seed: int) -> Iterator[tuple[str, Any]]:
        yield "half", 1.0
        raise ValueError("no such\nthing")

    own = {"measure": {"broken": broken, "margins": diagnostics.margins.measure}, "measure_round": {}}
    monkeypatch.setattr(diagnostics, "found", lambda function="measure": own[function])
    experiment = tiny_experiment("method=bl")
    with pytest.warns(UserWarning, match="its result is not affected: broken: ValueError: no such thing$"):
        result = run_experiment(experiment, Execution(results_dir=tmp_path))
    assert Store(tmp_path).read_result(experiment.run_id) == result
    arrays = measured(tmp_path, experiment)
    assert arrays["failures"].tolist() == ["broken: ValueError: no such thing"]
    assert sorted(arrays) == ["failures", "margins.examples", "margins.smallest"]


def test_a_file_that_cannot_be_written_does_not_lose_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: RunFolder, arrays: Any) -> None:
        raise StoreError("cannot write diagnostics.npz: disk full")

    monkeypatch.setattr(RunFolder, "write_diagnostics", full)
    experiment = tiny_experiment("method=bl")
    with pytest.warns(UserWarning, match="disk full"):
        run_experiment(experiment, Execution(results_dir=tmp_path))
    assert Store(tmp_path).read_result(experiment.run_id) is not None


def test_a_network_without_a_dense_layer_has_every_diagnostic_but_its_size(tmp_path: Path) -> None:
    experiment = tiny_experiment()
    task = load_task(experiment, torch.device("cpu"))
    pooled = nn.Sequential(nn.Conv2d(1, 10, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    folder = Store(tmp_path).run("0" * 16)
    folder.create()
    with pytest.warns(UserWarning, match="weights: ValueError: the network has no dense layer"):
        write_diagnostics(folder, BlockNet([pooled], nn.Identity()), task, 0)
    arrays = folder.diagnostics()
    assert arrays is not None
    assert "sharpness.loss" in arrays
    assert "weights.size" not in arrays


@pytest.mark.parametrize("diagnostic", found())
def test_every_diagnostic_leaves_no_trace_and_repeats_itself(diagnostic: str) -> None:
    noise = "dataset.label_noise=0.2"  # without it there is nothing to memorize
    words = ("image_size=8", "model.width=0.25", "dropout=p50", "precision=bf16", noise)
    experiment = Experiment.from_dict(make_config(*words))
    components = Components.of(experiment, Execution(device="cpu"))
    task = load_task(experiment, components.device)
    net = build_network(components, experiment, task).train()
    net.lambda_of(1).fill(torch.tensor(0.5), torch.tensor(2.0))
    before, random = {name: value.clone() for name, value in net.state_dict().items()}, torch.get_rng_state()
    (once, failures), (again, _) = (diagnose({diagnostic: found()[diagnostic]}, net, task, 0) for _ in range(2))
    assert failures == []
    assert once
    assert all(name.startswith(f"{diagnostic}.") and np.array_equal(once[name], again[name]) for name in once)
    assert net.training
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(value.requires_grad and value.grad is None for value in net.parameters())


def test_a_torn_file_is_named(tmp_path: Path) -> None:
    folder = Store(tmp_path).run("0" * 16)
    folder.create()
    folder.write_diagnostics({"a.b": np.arange(1000)})
    path = folder.path / "diagnostics.npz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(StoreError, match=r"diagnostics\.npz cannot be read: .*; delete it to do without"):
        folder.diagnostics()
