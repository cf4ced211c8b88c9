"""SLURM's commands: the only place that calls squeue, scontrol, scancel and sinfo."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from reinit_bench.core.settings import ConfigError

ENDED = frozenset(
    {
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    }
)
"""States of tasks that will not run again; squeue shows such tasks for some minutes."""

_IDS_PER_CALL = 500


class SlurmError(ConfigError):
    """A SLURM command is missing, fails or does not answer."""


@dataclass(frozen=True)
class QueuedTask:
    """One array task as squeue shows it; `job` is like 12_3, `name` that of the whole array."""

    job: str
    name: str
    state: str
    reason: str = ""
    """Why it waits, in SLURM's word: Priority, Resources, JobHeldUser, ..."""
    comment: str = ""

    @property
    def ended(self) -> bool:
        return self.state in ENDED


def available() -> bool:
    """Whether this machine has SLURM's squeue."""
    return shutil.which("squeue") is not None


def require() -> None:
    """Raise SlurmError if this machine cannot submit."""
    for command in ("sbatch", "srun", "squeue", "scontrol"):
        if shutil.which(command) is None:
            raise SlurmError(
                f"hydra/launcher=slurm needs SLURM, and there is no {command} on this machine; "
                "type the command on a login node of the cluster, or leave hydra/launcher=slurm out to run here"
            )


def squeue(names: Sequence[str]) -> list[QueuedTask]:
    """Every task that SLURM still knows of the arrays with these names, in one call."""
    if not names:
        return []
    lines = _squeue("--array", "--states=all", f"--name={','.join(names)}", "--format=%i|%j|%T|%r|%k")
    return [QueuedTask(*line.split("|", 4)) for line in lines if line.count("|") >= 4]


def max_array_size() -> int:
    """How many tasks one array may have: the configured MaxArraySize bounds the index, which starts at 0."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _call("scontrol", "show", "config"), re.MULTILINE)
    return int(found.group(1)) if found else 1001


def partitions() -> list[str]:
    """Names of the cluster's partitions."""
    return sorted(set(_call("sinfo", "--noheader", "--format=%R").split()))


def job_state(job: str) -> str:
    """The state of one job; empty if SLURM no longer knows it."""
    return "".join(_squeue(f"--jobs={job}", "--format=%T")).strip()


def requeue(job: str) -> None:
    """Requeue a running job."""
    _call("scontrol", "requeue", job)


def cancel(jobs: Sequence[str]) -> None:
    """End jobs or array tasks; each is asked to stop (SIGTERM) before it is killed."""
    for start in range(0, len(jobs), _IDS_PER_CALL):
        _call("scancel", *jobs[start : start + _IDS_PER_CALL])


def _squeue(*words: str) -> list[str]:
    """What squeue says, without its header; without a header it has said nothing, whatever its exit code."""
    lines = _call("squeue", *words).splitlines()
    if not lines:
        raise SlurmError(
            "squeue answered nothing, not even its header; try again when SLURM's controller is up (a wrapper that "
            "hides squeue's header has to go)"
        )
    return lines[1:]


def _call(*words: str) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    except FileNotFoundError as error:
        raise SlurmError(f"there is no {words[0]} on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise SlurmError(
            f"{words[0]} has not answered for 60 seconds; try again when SLURM's controller is up"
        ) from error
    if done.returncode != 0:
        why = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
        raise SlurmError(f"{words[0]} failed: {why}")
    return done.stdout
