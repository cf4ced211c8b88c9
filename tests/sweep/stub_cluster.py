"""Stubs of SLURM's commands on PATH: what was submitted is kept, and squeue shows what a test lets it show.

The code that plans, submits, cuts arrays and reads the queue is the project's own, on a real store.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from reinit_bench.sweep.slurm.batch import batches
from reinit_bench.sweep.slurm.commands import MARK

STUBS = {
    "sbatch": 'n=$(ls "{0}/jobs" | wc -l); n=$((n + 1)); cp "$1" "{0}/jobs/$n"; echo "Submitted batch job $n"',
    "squeue": 'cat "{0}/queue"',
    "scontrol": 'echo "MaxArraySize = {1}"',
    "sinfo": "echo gpu",
    "srun": "exit 1",
    "scancel": 'echo "$@" >>"{0}/cancelled"',
}


@dataclass
class StubCluster:
    """The stubs' folder, and the results folder that is used with them."""

    folder: Path
    results_dir: Path
    max_array_size: int = 1001

    def __post_init__(self) -> None:
        (self.folder / "jobs").mkdir(parents=True)
        for name, body in STUBS.items():
            self.stub(name, body.format(self.folder, self.max_array_size))
        self.show({})

    def stub(self, name: str, body: str) -> None:
        """Put a shell script in the place of one of SLURM's commands."""
        (self.folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.folder / name).chmod(0o755)

    @property
    def path(self) -> str:
        """A PATH on which the stubs come first."""
        return f"{self.folder}:{os.environ['PATH']}"

    @property
    def scripts(self) -> list[str]:
        """The scripts that were given to sbatch, in order."""
        return [path.read_text() for path in sorted((self.folder / "jobs").iterdir(), key=lambda path: int(path.name))]

    def show(self, states: dict[str, str], reason: str = "None") -> None:
        """Let squeue show these tasks (like 12_3) in these states, as tasks of the batches that they belong to."""
        names = {batch.job: batch.name for batch in batches(self.results_dir)}
        rows = [f"{job}|{names[job.partition('_')[0]]}|{state}|{reason}|" for job, state in states.items()]
        lines = [f"{MARK}|{row}" for row in ("JOBID|NAME|STATE|REASON|COMMENT", *rows)]
        (self.folder / "queue").write_text("\n".join(lines) + "\n")

    def show_all(self, state: str, reason: str = "None") -> None:
        """Let squeue show every task that was submitted."""
        tasks = [(batch.job, index) for batch in batches(self.results_dir) for index in range(len(batch.tasks))]
        self.show({f"{job}_{index}": state for job, index in tasks}, reason)
