"""The script that sets a cluster up and breaks it, and SLURM's own commands."""

from __future__ import annotations

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parent / "cluster"
CANNOT = 69
"""The script's exit code where no cluster can be had; it has said why."""


class Cluster:
    """The cluster's script, and SLURM's own commands."""

    def fail(self, node: str) -> None:
        """Kill a node's slurmd with everything that runs below it, as when its power goes."""
        self._script("fail", node)

    def revive(self, node: str) -> None:
        """Start a node's slurmd again."""
        self._script("revive", node)

    def call(self, *words: str) -> str:
        """One of SLURM's commands; what it printed."""
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout

    def queue(self, form: str = "%i %T") -> list[str]:
        """The tasks that wait or run, in squeue's format."""
        return self.call("squeue", "--noheader", "--array", f"--format={form}").splitlines()

    def states(self) -> dict[str, str]:
        """By task, its state; the ended ones too, as long as SLURM remembers them."""
        lines = self.call("squeue", "--noheader", "--array", "--states=all", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def _script(self, *words: str) -> None:
        subprocess.run([SCRIPT, *words], check=True, timeout=120, capture_output=True)
