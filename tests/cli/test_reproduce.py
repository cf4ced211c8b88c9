"""`reproduce`: runs of a bundle, trained again, are the same to the bit, within rounding, or not; or cannot run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from factories import tiny_experiment, write_result

from reinit_bench.cli.main import main
from reinit_bench.core.config import Execution, Experiment
from reinit_bench.run.experiment import run_experiment
from reinit_bench.run.reproduction import compared

CURVE = [{"step": 4, "train_loss": 2.0}]
RESULT = {"test_accuracy": 0.5, "train_accuracy": 1.0, "rounds": 4, "steps": 32, "weights_sha256": "a"}


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One run that was trained here, in a bundle."""
    monkeypatch.chdir(tmp_path)
    run_experiment(tiny_experiment("method=fc"), Execution(results_dir=tmp_path / "results", diagnostics=False))
    assert main(["export", "runs.tar.gz"]) == 0
    return tmp_path / "runs.tar.gz"


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(["reproduce", *words]) == code
    return capsys.readouterr().out.splitlines()[-1]


def test_a_run_of_this_machine_is_the_same_to_the_bit_and_is_trained_once(
    bundle: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    threads = json.loads(next(tmp_path.glob("results/runs/*/result.json")).read_text())["threads"]
    words = (str(bundle), "--threads", str(threads))
    assert said(capsys, *words).endswith("digits scnn fc seed 0: the same: equal to the bit")
    (again,) = tmp_path.glob("results/reproduced/runs/*/result.json")
    before = again.stat().st_mtime_ns
    assert said(capsys, *words).endswith("equal to the bit")
    assert again.stat().st_mtime_ns == before


def test_a_number_that_was_edited_and_sealed_again_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_result(tmp_path / "results", tiny_experiment("method=fc"), test_accuracy=0.99)
    assert main(["export", "runs.tar.gz"]) == 0
    line = said(capsys, "runs.tar.gz", code=1)
    assert "digits scnn fc seed 0: NOT the same: test accuracy 99.00%, here " in line


def test_what_cannot_run_here_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REINIT_BENCH_DATA", str(tmp_path / "data"))
    config: dict[str, Any] = tiny_experiment("method=fc").to_dict()
    method = {**config["method"], "name": "mine", "_target_": "mine.Method", "_source_": "0" * 16}
    write_result(tmp_path / "results", Experiment.from_dict({**config, "method": method}))
    write_result(tmp_path / "results", tiny_experiment("dataset=cifar10", "image_size=32"))
    assert main(["export", "runs.tar.gz"]) == 0
    capsys.readouterr()
    assert main(["reproduce", "runs.tar.gz"]) == 1
    lines = "\n".join(sorted(line.partition("  ")[2] for line in capsys.readouterr().out.splitlines()))
    assert (
        "digits scnn mine seed 0: cannot run here: its method is mine.Method, code that is not reinit-bench's" in lines
    )
    assert "cifar10 scnn lw seed 0: cannot run here: " in lines
    assert "reinit-bench prepare dataset=cifar10" in lines


def test_it_needs_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce"]) == 1
    assert "reproduce accepts one FILE and results_dir=DIR; got no FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("again", "loss", "kind"),
    [
        ({}, 2.0, "bits"),
        ({"weights_sha256": "b"}, 2.0 + 1e-6, "rounding"),
        ({"weights_sha256": "b", "test_accuracy": 0.52}, 2.001, "rounding"),
        ({"weights_sha256": "b", "test_accuracy": 0.54}, 2.0, "other"),
        ({"weights_sha256": "b"}, 2.1, "other"),
        ({"weights_sha256": "b"}, float("nan"), "other"),
        ({"test_accuracy": 0.51}, 2.0, "rounding"),
    ],
)
def test_weights_decide_and_rounding_has_not_grown_in_the_first_epoch(again: Any, loss: float, kind: str) -> None:
    curve = [{"step": 4, "train_loss": loss}]
    assert compared(RESULT, CURVE, {**RESULT, **again}, curve).kind == kind


def test_without_a_curve_or_with_another_first_step_nothing_explains_a_difference() -> None:
    other = {**RESULT, "weights_sha256": "b"}
    assert compared(RESULT, [], other, CURVE).kind == "other"
    assert compared(RESULT, CURVE, other, [{"step": 5, "train_loss": 2.0}]).kind == "other"
