"""A real SLURM of two nodes on this machine, for the tests that are marked so."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sweeping import Sweep, outcomes, wait_for

SCRIPT = Path(__file__).parent / "cluster"
CANNOT = 69
"""The script's exit code where no cluster can be had; it has said why."""

ON_NODES = ("hydra/launcher=slurm_cpu", "hydra.launcher.target_minutes=1")


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


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    began = subprocess.run([SCRIPT, "up"], capture_output=True, text=True, timeout=600)
    if began.returncode == CANNOT:
        pytest.skip(began.stderr.strip())
    assert began.returncode == 0, began.stderr
    said = subprocess.run([SCRIPT, "env"], capture_output=True, text=True, check=True).stdout
    os.environ["SLURM_CONF"] = shlex.split(said)[1].partition("=")[2]
    yield Cluster()
    subprocess.run([SCRIPT, "down"], timeout=120)


@pytest.fixture
def on_slurm(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., Sweep]]:
    """Makes a sweep on the cluster; what is left of it is called off at the end."""
    yield lambda *overrides: Sweep(tmp_path / "results", *overrides, *ON_NODES)
    cluster.call("scancel", "--user=root")
    wait_for(lambda: not cluster.queue(), "an empty queue")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """The outcomes of a sweep that nothing disturbs, run once, in the local pool with as many threads as a task has."""
    known: dict[tuple[str, ...], dict[str, Any]] = {}

    def outcomes_of(*overrides: str) -> dict[str, Any]:
        if overrides not in known:
            sweep = Sweep(tmp_path_factory.mktemp("undisturbed") / "results", *overrides, "hydra.launcher.threads=1")
            sweep.run()
            known[overrides] = outcomes(sweep.store)
        return known[overrides]

    return outcomes_of
