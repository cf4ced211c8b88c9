"""Sweeps started as a user starts them, in other processes, for tests that kill them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from factories import TINY
from run_files import run_files

from reinit_bench.store.store import RunFolder, Store

TIMEOUT_SECONDS = 400.0
"""How long a test waits; a busy machine may need much of it."""

KILLABLE = (*TINY, "trainer.max_steps=250", "trainer.patience_epochs=100000", "trainer.checkpoint_every=20")
"""Runs of some seconds: long enough to be killed in the middle of a round."""


class SweepCommand:
    """A multirun with its own results folder."""

    def __init__(self, results_dir: Path, *overrides: str) -> None:
        self.results_dir, self.overrides = results_dir, overrides
        self.store = Store(results_dir)

    def command(self, *more: str) -> list[str]:
        """What a user would type."""
        words = [*self.overrides, f"results_dir={self.results_dir}", *more]
        return [sys.executable, "-m", "reinit_bench", "-m", *words]

    def start(self, *more: str) -> subprocess.Popen[str]:
        """Start it in another session, as in another terminal."""
        return subprocess.Popen(
            self.command(*more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            cwd=self.results_dir.parent,
        )

    def run(self, *more: str, code: int = 0) -> str:
        """Run it to its end, with this exit code, and return what it printed."""
        process = self.start(*more)
        printed, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        assert process.returncode == code, printed
        return printed

    def subcommand(self, command: str, *more: str) -> str:
        """What a sub-command such as `status` prints about this sweep."""
        words = [
            sys.executable,
            "-m",
            "reinit_bench.cli.main",
            command,
            *self.overrides,
            f"results_dir={self.results_dir}",
        ]
        done = subprocess.run([*words, *more], capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def folders(self) -> list[RunFolder]:
        """The folders of all runs that have begun."""
        return [self.store.run(run_id) for run_id in self.store.run_ids()]

    def statuses(self) -> dict[str, dict[str, Any]]:
        """The status of each run that has begun, by run id."""
        return {folder.run_id: folder.status() for folder in self.folders()}

    def attempts(self) -> dict[str, int]:
        """How many processes have worked on each run."""
        return {run_id: int(status.get("attempt") or 0) for run_id, status in self.statuses().items()}

    def wait_for_done(self, count: int) -> None:
        """Wait until `count` runs have a valid result."""
        self.wait_for(lambda: sum(folder.result() is not None for folder in self.folders()) == count, f"{count} done")

    def wait_for_mid_round(self, count: int = 1, round_index: int = 2) -> list[str]:
        """Wait until `count` runs are in the middle of this round or a later one, and return their ids."""
        self.wait_for(
            lambda: len(self.mid_round(round_index)) >= count, f"{count} in the middle of round {round_index}"
        )
        return self.mid_round(round_index)

    def mid_round(self, round_index: int) -> list[str]:
        """Ids of running runs whose curve, which is written with each checkpoint, has reached this round."""
        at_work = [folder for folder in self.folders() if folder.status().get("state") == "running"]
        return [folder.run_id for folder in at_work if _round_of(folder.path) >= round_index]

    def wait_for(self, condition: Callable[[], Any], what: str) -> None:
        """Check five times a second until `condition` holds."""
        wait_for(condition, lambda: f"{what}; {json.dumps(self.statuses(), indent=1)}")


def wait_for(condition: Callable[[], Any], what: str | Callable[[], str]) -> None:
    """Check five times a second until `condition` holds; if that takes too long, fail and say `what` did not come."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what if isinstance(what, str) else what()}"
        time.sleep(0.2)


def _round_of(folder: Path) -> int:
    try:
        lines = (folder / "history.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return int(json.loads(lines[-1])["round"]) if lines else 0


def reproducible_results(store: Store) -> dict[str, Any]:
    """By run id, everything that must be bit-equal however often a run was interrupted, which excludes times."""
    kept = ("test_accuracy", "validation_accuracy", "train_accuracy", "test_loss", "rounds", "steps", "weights_sha256")
    found = {}
    for run_id in store.run_ids():
        result = store.read_result(run_id)
        if result is not None:
            files = run_files(store.results_dir, run_id)
            found[run_id] = {**files, "result": {key: result[key] for key in kept}}
    return found
