"""Losses of whole runs, written down: a change of the code that moves them changes what a run id stands for."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import tiny_experiment
from observers import LossRecorder

from reinit_bench.core.config import Execution
from reinit_bench.run.experiment import run_experiment

# Four rounds of three steps, with augmentation and dropout: every named stream of a run has its part in them.
CURVES = {
    "lw": [
        [2.44877, 2.40352, 2.33273],
        [2.95111, 2.22028, 2.87975],
        [2.56680, 2.84933, 2.74923],
        [3.52001, 2.89398, 3.22272],
    ],
    "welsr": [
        [2.98303, 2.80064, 2.81169],
        [3.35118, 2.84513, 2.66945],
        [2.89017, 2.82072, 2.83272],
        [2.66617, 2.51454, 2.65775],
    ],
}


@pytest.mark.parametrize("method", CURVES)
def test_a_run_id_always_stands_for_the_same_losses(tmp_path: Path, method: str) -> None:
    """If this fails, either something broke, or PROTOCOL_VERSION must be raised along with these numbers.

    Rounding differs between machines and versions of torch, by far less than the tolerance over three steps a round.
    """
    experiment = tiny_experiment(f"method={method}", "augmentation=mild", "dropout=p25", "trainer.max_steps=3")
    recorder = LossRecorder()
    run_experiment(experiment, Execution(results_dir=tmp_path, device="cpu"), observer=recorder)
    for found, expected in zip(recorder.epochs, CURVES[method], strict=True):
        assert found == pytest.approx(expected, rel=1e-3)
