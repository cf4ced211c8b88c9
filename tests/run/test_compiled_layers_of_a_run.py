"""Layers in C are used where there are any, and not where they are not wanted; a run keeps what it began with."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from factories import tiny_experiment
from observers import InterruptAfter
from run_files import without_times

from reinit_bench.core.config import Execution
from reinit_bench.kernels import available
from reinit_bench.run.experiment import run_experiment
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
KINDS = sorted(available.KINDS)


@pytest.fixture
def calls(compiled_layers: Counter[str]) -> Counter[str]:
    return compiled_layers


@pytest.fixture
def asked_anew() -> Iterator[None]:
    """What this machine can run is found out within the test, and again after it."""
    available.obstacle.cache_clear()
    yield
    available.obstacle.cache_clear()


def execution(folder: Path, compiled_layers: bool) -> Execution:
    return Execution(results_dir=folder, device="cpu", diagnostics=False, compiled_layers=compiled_layers)


def run(folder: Path, compiled_layers: bool = True) -> dict[str, Any]:
    return run_experiment(EXPERIMENT, execution(folder, compiled_layers))


def cut(folder: Path, compiled_layers: bool = True) -> None:
    """Begin the run, and stop in its second round."""
    stop = InterruptAfter(6)
    with pytest.raises(Interrupted):
        run_experiment(EXPERIMENT, execution(folder, compiled_layers), observer=stop, interrupt=stop.interrupt)


@pytest.mark.slow
@pytest.mark.parametrize("begun", [True, False])
def test_a_resumed_run_keeps_its_choice_and_its_bits(tmp_path: Path, calls: Counter[str], begun: bool) -> None:
    other = run(tmp_path / "other", not begun)
    calls.clear()
    uncut = run(tmp_path / "uncut", begun)
    assert bool(calls) == begun
    assert uncut["weights_sha256"] != other["weights_sha256"]  # otherwise there is nothing to keep
    cut(tmp_path / "cut", begun)
    calls.clear()
    resumed = run(tmp_path / "cut", not begun)
    assert without_times(resumed) == without_times(uncut)
    assert resumed["compiled_layers"] == (KINDS if begun else [])
    assert bool(calls) == begun
    # And what begins after it in the same process does as it is told.
    assert without_times(run(tmp_path / "next", not begun)) == without_times(other)


def test_where_the_layers_are_missing_a_run_goes_on_with_torchs_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: Counter[str]
) -> None:
    cut(tmp_path)
    calls.clear()
    monkeypatch.setattr(available, "obstacle", lambda: "ours were not compiled")
    monkeypatch.setattr("reinit_bench.kernels.library.library", lambda: None)
    message = (
        r"^this run began with compiled layers \(convolution, norm\), and goes on with torch's, which are equal up to "
        "rounding: ours were not compiled$"
    )
    with pytest.warns(UserWarning, match=message) as warned:
        result = run(tmp_path)
    assert len(warned) == 1
    assert (result["compiled_layers"], calls) == ([], {})


@pytest.mark.usefixtures("asked_anew")
def test_a_library_that_this_processor_cannot_run_is_not_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "libcompiled.so").write_bytes(b"x")
    monkeypatch.setattr(available, "COMPILED", tmp_path / "libcompiled.so")
    monkeypatch.setattr(available, "processor_features", lambda: {"sse2", "avx", "fma"})
    monkeypatch.setattr(ctypes, "CDLL", lambda path: pytest.fail("it was loaded"))
    assert available.obstacle() == "ours need a processor with avx2"


@pytest.mark.usefixtures("asked_anew")
@pytest.mark.parametrize(("content", "reason"), [(None, "ours were not compiled; "), (b"x", "ours cannot be loaded: ")])
def test_without_a_library_there_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "libcompiled.so").write_bytes(content)
    monkeypatch.setattr(available, "COMPILED", tmp_path / "libcompiled.so")
    monkeypatch.setattr(available, "processor_features", lambda: {"avx2", "fma"})
    assert str(available.obstacle()).startswith(reason)
