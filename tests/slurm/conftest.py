"""A real SLURM of two nodes on this machine, for the tests that are marked so."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from real_cluster import CANNOT, SCRIPT, Cluster
from sweep_command import SweepCommand, reproducible_results, wait_for

ON_NODES = ("hydra/launcher=slurm_cpu", "hydra.launcher.target_minutes=1")


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
def on_slurm(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., SweepCommand]]:
    """Makes a sweep on the cluster; what is left of it is cancelled at the end."""
    yield lambda *overrides: SweepCommand(tmp_path / "results", *overrides, *ON_NODES)
    cluster.call("scancel", "--user=root")
    wait_for(lambda: not cluster.queue(), "an empty queue")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """The results of a sweep that nothing disturbs, run once in the local pool with as many threads as a task has."""
    known: dict[tuple[str, ...], dict[str, Any]] = {}

    def results_of(*overrides: str) -> dict[str, Any]:
        if overrides not in known:
            sweep = SweepCommand(
                tmp_path_factory.mktemp("undisturbed") / "results", *overrides, "hydra.launcher.threads=1"
            )
            sweep.run()
            known[overrides] = reproducible_results(sweep.store)
        return known[overrides]

    return results_of
