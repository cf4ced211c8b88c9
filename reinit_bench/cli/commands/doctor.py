"""What works here and what does not: versions, GPU, SLURM, W&B, datasets."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from reinit_bench.cli.commands._shared import Words, split_results_dir
from reinit_bench.core.conf_dir import conf_dir
from reinit_bench.core.machine import output_of
from reinit_bench.core.version import __version__
from reinit_bench.kernels.available import KINDS, obstacle

PACKAGES = ("torch", "hydra-core", "submitit", "wandb", "numpy", "pandas", "scikit-learn")


class Finding(NamedTuple):
    """One line of the output: whether it is fine, what it is about, and what was found (and what to do)."""

    fine: bool
    subject: str
    text: str


def command(words: Words = None) -> None:
    """What works here and what does not: versions, GPU, SLURM, W&B, datasets."""
    from rich.console import Console

    console = Console()
    for finding in findings(split_results_dir(words)[0]):
        console.print("[green]ok[/] " if finding.fine else "[yellow]--[/] ", end="")
        console.out(f"{finding.subject}: {finding.text}", highlight=False)


def findings(results_dir: Path) -> Iterator[Finding]:
    """All checks, one after the other."""
    yield Finding(True, "reinit-bench", f"{__version__}, groups in {conf_dir()}")
    yield Finding(True, "python", platform.python_version())
    yield from (Finding(True, name, version(name)) for name in PACKAGES)
    gpus = output_of("nvidia-smi", "--query-gpu=name,memory.total,compute_mode", "--format=csv,noheader")
    yield Finding(bool(gpus), "GPU", "; ".join((gpus or "none found; runs use the CPU (device=auto)").splitlines()))
    reason = obstacle()
    ours = f"{' and '.join(KINDS)} on the CPU are ours, unless compiled_layers=false"
    yield Finding(reason is None, "compiled", ours if reason is None else f"layers on the CPU are torch's: {reason}")
    yield _slurm()
    yield _wandb()
    yield _results(results_dir)
    yield _datasets()


def _slurm() -> Finding:
    if shutil.which("sbatch") is None:
        return Finding(False, "SLURM", "no sbatch on this machine; sweeps run here (hydra/launcher=local)")
    nodes = output_of("sinfo", "--noheader", "--format=%D nodes %P")
    silent = "sbatch is installed, but sinfo gets no answer from the controller"
    return Finding(bool(nodes), "SLURM", "; ".join((nodes or silent).splitlines()))


def _wandb() -> Finding:
    from reinit_bench.reporting.loggers import wandb_mode

    mode = wandb_mode("auto")
    said = {
        "online": "logged in; logger=auto logs online",
        "offline": "logger=auto logs offline (WANDB_MODE, or no answer from the server, or a wrong key)",
    }
    unset = "no key; logger=auto logs nothing, logger=wandb logs offline (`wandb login` sets one)"
    return Finding(mode == "online", "W&B", said.get(str(mode), unset))


def _results(results_dir: Path) -> Finding:
    place = results_dir
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return Finding(False, "results", f"{place} is not a folder; give results_dir a folder")
    if not os.access(place, os.W_OK):
        return Finding(False, "results", f"{place} is not writable; give results_dir another folder")
    free = shutil.disk_usage(place).free / 2**30
    return Finding(True, "results", f"{results_dir.resolve()}, {free:.0f} GiB free")


def _datasets() -> Finding:
    from reinit_bench.data.preparing.command import preparable, readiness

    states: dict[str, list[str]] = {}
    for name in preparable():
        states.setdefault(readiness(name), []).append(name)
    text = "; ".join(f"{state}: {', '.join(names)}" for state, names in sorted(states.items()))
    fine = set(states) == {"ready"}
    return Finding(fine, "datasets", text if fine else f"{text} (reinit-bench prepare dataset=NAME)")
