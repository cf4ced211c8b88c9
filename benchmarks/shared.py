"""The six methods in one sweep, with their shared first round trained once and with every run on its own.

    python benchmarks/shared.py [--model scnn] [--max-steps 60] [--seeds 1] [--repeats 1]

Both are the same command line on one worker of one thread (200 digits, augmented; every round goes to its step limit),
but for `share_rounds`. Of M methods of R rounds each whose first round is the same, (1 + M (R - 1)) / (M R) of the
rounds are left; the baseline's one long round counts as R; LW's first round is its own. The results must be equal to
the bit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import latest
from pack import DEMO

METHODS, ALIKE = ("bl", "welsr", "dsd", "wels", "fc", "lw"), 5


def swept(folder: Path, *words: str) -> tuple[float, dict[str, dict[str, Any]]]:
    """Wall time of one sweep, and its results by run id."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = [sys.executable, "-m", "reinit_bench.cli", "-m", f"results_dir={folder}", *words]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    seconds = time.perf_counter() - began
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("runs/*/result.json"))]
    return seconds, {result["run_id"]: result for result in results}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="scnn")
    parser.add_argument("--max-steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    words = [
        *(f"model={arguments.model}", f"method={','.join(METHODS)}", f"method.repeats={arguments.repeats}"),
        *DEMO,
        *(f"trainer.max_steps={arguments.max_steps}", "trainer.patience_epochs=100000"),
        *(f"seed={','.join(map(str, range(arguments.seeds)))}", "logger=none", "device=cpu", "diagnostics=false"),
        *("hydra.launcher.workers=1", "hydra.launcher.threads=1"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        alone, expected = swept(Path(folder) / "alone", *words, "share_rounds=false")
        shared, found = swept(Path(folder) / "shared", *words)
    for run_id, result in expected.items():
        assert found[run_id]["weights_sha256"] == result["weights_sha256"], f"run {run_id} came out otherwise"
    steps = sum(result["steps"] for result in expected.values())
    trained = sum(result["steps"] - result["shared_steps"] for result in found.values())
    rounds = max(result["rounds"] for result in expected.values())
    left = len(METHODS) * rounds - (ALIKE - 1)
    alike = (1 + ALIKE * (rounds - 1)) / (ALIKE * rounds)
    print(
        f"{len(expected)} runs of {rounds} rounds, equal to the bit: {trained:,} of {steps:,} steps trained, "
        f"{trained / steps:.4f}; expected {left / len(METHODS) / rounds:.4f}, and {alike:.4f} of the {ALIKE} alike"
    )
    name = f"a sweep of six methods with shared rounds beside one without: digits, {arguments.model}, {rounds} rounds"
    runs = 60 * len(expected)
    latest.merge(
        [
            latest.row(name, runs / shared, runs / alone, alone / shared, None, "runs/min"),
            latest.row(f"{name}, steps trained", trained, steps, steps / trained, None, "steps"),
        ]
    )


if __name__ == "__main__":
    main()
