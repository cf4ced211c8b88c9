"""A run keeps the kind of layers that it began with, whatever the machine that resumes it would choose."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from compiled_layers import FASTER, SLOWER
from factories import tiny_experiment
from observers import InterruptAfter
from run_files import without_times

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.kernels import choice
from reinit_bench.kernels.choice import KINDS, Choice
from reinit_bench.run.experiment import run_experiment
from reinit_bench.store.store import Store
from reinit_bench.training.checkpoint import read_checkpoint, save_checkpoint
from reinit_bench.training.interrupt import Interrupted

EXPERIMENT = tiny_experiment(
    "method=lw",
    "method.schedule=[1,2]",
    "model.width=1",
    "image_size=16",
    "dataset.train_examples=20",
    "trainer.batch_size=8",
    "trainer.max_steps=4",
    "trainer.checkpoint_every=1",
)
"""Its convolutions are large enough for those in C."""


@pytest.fixture
def calls(compiled_layers: Counter[str]) -> Counter[str]:
    return compiled_layers


def measured(monkeypatch: pytest.MonkeyPatch, found: Choice) -> None:
    """From now on, runs that begin here choose this."""
    monkeypatch.setattr("reinit_bench.kernels.library.choice_here", lambda: found)


def run(folder: Path, experiment: Experiment = EXPERIMENT) -> dict[str, Any]:
    return run_experiment(experiment, Execution(results_dir=folder, device="cpu", diagnostics=False))


def cut(folder: Path) -> None:
    """Begin the run, and stop in its second round."""
    stop = InterruptAfter(6)
    execution = Execution(results_dir=folder, device="cpu", diagnostics=False)
    with pytest.raises(Interrupted):
        run_experiment(EXPERIMENT, execution, observer=stop, interrupt=stop.interrupt)


@pytest.mark.slow
@pytest.mark.parametrize(("begun", "later"), [(FASTER, SLOWER), (SLOWER, FASTER)])
def test_a_resumed_run_keeps_its_choice_and_its_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: Counter[str], begun: Choice, later: Choice
) -> None:
    measured(monkeypatch, later)
    other = run(tmp_path / "other")
    measured(monkeypatch, begun)
    uncut = run(tmp_path / "uncut")
    assert uncut["weights_sha256"] != other["weights_sha256"]  # otherwise there is nothing to keep
    cut(tmp_path / "cut")
    measured(monkeypatch, later)
    calls.clear()
    resumed = run(tmp_path / "cut")
    assert without_times(resumed) == without_times(uncut)
    assert resumed["compiled_layers"] == sorted(begun.kinds)
    assert bool(calls) == bool(begun.kinds)
    # And what begins after it in the same process goes by the machine again.
    assert without_times(run(tmp_path / "next")) == without_times(other)


def test_where_the_layers_are_missing_a_run_goes_on_with_torchs_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: Counter[str]
) -> None:
    cut(tmp_path)
    calls.clear()
    monkeypatch.setattr(choice, "obstacle", lambda: "ours were not compiled")
    monkeypatch.setattr("reinit_bench.kernels.library.library", lambda: None)
    message = (
        r"^this run began with compiled layers \(convolution, norm\), and goes on with torch's, which are equal up to "
        "rounding: ours were not compiled$"
    )
    with pytest.warns(UserWarning, match=message) as said:
        result = run(tmp_path)
    assert len(said) == 1
    assert (result["compiled_layers"], calls) == ([], {})


@pytest.mark.parametrize(("capability", "kinds"), [("AVX2", sorted(KINDS)), ("AVX512", []), ("DEFAULT", [])])
def test_a_run_from_before_checkpoints_said_so_goes_on_by_its_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: Counter[str], capability: str, kinds: list[str]
) -> None:
    cut(tmp_path)
    folder = Store(tmp_path).run(EXPERIMENT.run_id).path
    checkpoint = read_checkpoint(folder / "checkpoint.pt", torch.device("cpu"))
    assert checkpoint.pop("compiled_layers") == sorted(KINDS)
    save_checkpoint(folder, checkpoint)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert run(tmp_path)["compiled_layers"] == kinds


def test_a_network_whose_layers_are_too_small_leaves_it_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait for a timing either."""
    monkeypatch.setattr("reinit_bench.kernels.library.choice_here", lambda: pytest.fail("it was asked"))
    assert run(tmp_path, tiny_experiment())["compiled_layers"] is None
