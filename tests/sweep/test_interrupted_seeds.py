"""Ctrl-C while seeds train side by side in the local pool: what is done stays, and the same command does the rest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from factories import make_config
from sweep_command import wait_for_file

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.run.seeds import run_seeds

SETTINGS = ("dataset=synthetic", "dataset.test_examples=100", "method=lw", "logger=none")
# One worker: the short job is done before the long one begins.
COMMAND = (
    *(sys.executable, "-m", "reinit_bench", "-m"),
    *(*SETTINGS, "trainer.max_steps=20,2000", "seed=0,1", "hydra.launcher.workers=1", "hydra.launcher.threads=1"),
)


def experiments(steps: int) -> list[Experiment]:
    return [
        Experiment.from_dict(make_config(*SETTINGS, f"trainer.max_steps={steps}", f"seed={seed}")) for seed in range(2)
    ]


@pytest.mark.slow
@pytest.mark.long
def test_ctrl_c_between_and_within_jobs(tmp_path: Path) -> None:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    first, second = experiments(20), experiments(2000)
    runs = tmp_path / "results" / "runs"
    process = subprocess.Popen(
        COMMAND, cwd=tmp_path, env=environment, stdout=-1, stderr=-1, text=True, start_new_session=True
    )
    wait_for_file(runs / second[-1].run_id / "status.json", process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the pool and its worker both hear it
    out, err = process.communicate(timeout=120)
    assert process.returncode == 75, (out, err)
    assert "2 done; 2 interrupted" in out
    assert "Traceback" not in err
    done = {one.run_id: (runs / one.run_id / "result.json").stat().st_mtime_ns for one in first}
    for one in second:
        assert json.loads((runs / one.run_id / "status.json").read_text())["state"] == "interrupted"
        assert not (runs / one.run_id / "result.json").exists()

    again = subprocess.run(COMMAND, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    assert again.returncode == 0, again.stderr
    assert "4 runs: 2 done, 2 interrupted" in again.stdout
    assert done == {run_id: (runs / run_id / "result.json").stat().st_mtime_ns for run_id in done}

    undisturbed = {}
    for chosen in (first, second):
        run_seeds(
            chosen,
            Execution(results_dir=tmp_path / "undisturbed", device="cpu"),
            lambda one, what: undisturbed.update({one.run_id: what}),
        )
    for run_id, expected in undisturbed.items():
        result = json.loads((runs / run_id / "result.json").read_text())
        assert isinstance(expected, dict)
        assert result["weights_sha256"] == expected["weights_sha256"]
        assert result["test_accuracy"] == expected["test_accuracy"]
        assert result["attempts"] == (2 if run_id not in done else 1)
