"""What the diagnostics at a run's end cost: seconds of processor time, and their share of the run.

    python benchmarks/diagnostics.py

One run of LW for each of two architectures at the settings of `study=digits`, one thread. Processor time is measured,
since other processes on the machine would lengthen wall time.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from reinit_bench.cli.compose import composer
from reinit_bench.core.config import Execution, Experiment
from reinit_bench.diagnostics import write_diagnostics
from reinit_bench.run import experiment

SETTINGS = ("dataset=digits", "dataset.train_examples=200", "image_size=16", "trainer=quick", "augmentation=mild")
MODELS = {
    "scnn": ("model=scnn", "model.width=0.5", "trainer.max_steps=100"),
    "resnet50": ("model=resnet50", "model.width=0.125", "trainer.max_steps=40"),
}


def measured_run(config: dict[str, Any]) -> tuple[float, float]:
    """Seconds of the diagnostics and of the whole run."""
    seconds = 0.0

    def timed(*arguments: Any) -> None:
        nonlocal seconds
        started = time.process_time()
        write_diagnostics(*arguments)
        seconds = time.process_time() - started

    experiment.write_diagnostics = timed
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        execution = Execution(results_dir=Path(folder), device="cpu")
        experiment.run_experiment(Experiment.from_dict(config), execution)
        return seconds, time.process_time() - started


def main() -> None:
    torch.set_num_threads(1)
    with composer() as compose:
        for model, overrides in MODELS.items():
            diagnostics, run = measured_run(compose.compose([*SETTINGS, *overrides]))
            share = 100 * diagnostics / run
            print(f"{model}: diagnostics {diagnostics:.2f} s of {run:.1f} s of processor time ({share:.1f}%)")


if __name__ == "__main__":
    main()
