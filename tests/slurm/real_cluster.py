"""The script that sets a cluster up and breaks it, and SLURM's own commands."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

SCRIPT = Path(__file__).parent / "cluster"
CANNOT = 69
"""The script's exit code if no cluster can run here; it has printed the reason."""


class Cluster:
    """The cluster's script, and SLURM's own commands."""

    def fail(self, node: str) -> None:
        """Kill a node's slurmd and everything that runs on the node, as in a power failure."""
        self._script("fail", node)

    def revive(self, node: str) -> None:
        """Start a node's slurmd again."""
        self._script("revive", node)

    def call(self, *words: str) -> str:
        """One of SLURM's commands; what it printed."""
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout

    def try_all(self, command: str, jobs: Sequence[str]) -> None:
        """A command for each of these, which may have ended or changed meanwhile."""
        for job in jobs:
            subprocess.run([*command.split(), job], capture_output=True, timeout=60)

    def queue(self, form: str = "%i %T") -> list[str]:
        """The tasks that wait or run, in squeue's format."""
        return self.call("squeue", "--noheader", "--array", f"--format={form}").splitlines()

    def states(self) -> dict[str, str]:
        """The state of each task, including those that ended, as long as SLURM remembers them."""
        lines = self.call("squeue", "--noheader", "--array", "--states=all", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def _script(self, *words: str) -> None:
        subprocess.run([SCRIPT, *words], check=True, timeout=120, capture_output=True)
