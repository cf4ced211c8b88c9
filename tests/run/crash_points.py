"""Kills one run before each change that it makes to the disk, one kill per life, and resumes it; a program.

    python tests/run/crash_points.py FOLDER CONFIGURATION.json

prints one JSON line per crash point: what was about to happen, and the run's end after the next life.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch

sys.path.append(str(Path(__file__).parents[1]))  # a program's own folder alone is on the path
from killed_lives import live

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.run.experiment import run_experiment


def end_of(experiment: Experiment, results: Path) -> dict[str, Any]:
    """What must be equal however often it was killed: the result but for times, the lines, the names of all files."""
    folder = results / "runs" / experiment.run_id
    result = json.loads((folder / "result.json").read_text())
    kept = ("weights_sha256", "test_accuracy", "validation_accuracy", "train_accuracy", "test_loss", "rounds", "steps")
    rounds = [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    lines = [{k: v for k, v in line.items() if "seconds" not in k} for line in rounds + history]
    return {
        "result": {key: result[key] for key in kept},
        "lines": lines,
        "files": sorted(path.name for path in folder.iterdir()),
    }


def main(folder: Path, configuration: Path) -> None:
    torch.set_num_threads(1)
    experiment = Experiment.from_dict(json.loads(configuration.read_text()))
    # In this process, so that what it loads need not be loaded in each life.
    run_experiment(experiment, Execution(results_dir=folder / "whole", device="cpu"))
    print(json.dumps({"killed": "", "end": end_of(experiment, folder / "whole")}), flush=True)
    number = 0
    while True:
        number += 1
        results = folder / f"point{number}"
        work = partial(run_experiment, experiment, Execution(results_dir=results, device="cpu"))
        ended, before = live(work, results, number)
        if ended == 0:
            return
        again, _ = live(work, results, 0)
        if again:
            raise SystemExit(f"killed before {before!r}, the next life ended with {again}")
        print(json.dumps({"killed": before, "end": end_of(experiment, results)}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
