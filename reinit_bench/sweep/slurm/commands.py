"""SLURM's commands: the only place that calls squeue, scontrol, scancel and sinfo."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from reinit_bench.core.settings import ConfigError

PREFIX = "reinit-bench"
"""How the names of our arrays begin."""
MARK = "reinit-bench-queue"

_IDS_PER_CALL = 500
_ENDED = r"BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|NODE_FAIL|OUT_OF_MEMORY|PREEMPTED|REVOKED|TIMEOUT"


class SlurmError(ConfigError):
    """A SLURM command is missing, fails or does not answer."""


class QueueEntry(NamedTuple):
    """One array task as squeue shows it; `job` is like 12_3, `name` that of the whole array."""

    job: str
    name: str
    state: str
    reason: str = ""
    """Why it waits, in SLURM's word: Priority, Resources, JobHeldUser, ..."""
    comment: str = ""

    @property
    def ended(self) -> bool:
        """Whether it will not run again; squeue shows such tasks for some minutes."""
        return re.fullmatch(_ENDED, self.state) is not None


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


def squeue(users: Iterable[int]) -> list[QueueEntry]:
    """Every task of this program's arrays that SLURM still knows of these users, in one call.

    Raises:
        SlurmError: squeue fails, or its answer cannot be read: what is queued is then unknown.
    """
    rows = _squeue("--array", "--states=all", f"--user={','.join(map(str, sorted(users)))}")
    return [entry for entry in rows if entry.name.startswith(f"{PREFIX}-")]


def max_array_size() -> int:
    """How many tasks one array may have: the configured MaxArraySize bounds the index, which starts at 0."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _call("scontrol", "show", "config"), re.MULTILINE)
    return int(found.group(1)) if found else 1001


def partitions() -> list[str]:
    """Names of the cluster's partitions."""
    return sorted(set(_call("sinfo", "--noheader", "--format=%R").split()))


def job_state(job: str) -> str:
    """The state of one array task (like 12_3); empty if SLURM no longer knows it.

    By this name: the number in SLURM_JOB_ID is, for one task of an array, that of the whole array.
    """
    return next((entry.state for entry in _squeue("--array", f"--jobs={job}") if entry.job == job), "")


def requeue(job: str) -> None:
    """Requeue a running array task (like 12_3)."""
    _call("scontrol", "requeue", job)


def cancel(jobs: Sequence[str]) -> None:
    """End jobs or array tasks; each is asked to stop (SIGTERM) before it is killed."""
    for start in range(0, len(jobs), _IDS_PER_CALL):
        _call("scancel", *jobs[start : start + _IDS_PER_CALL])


def _squeue(*words: str) -> list[QueueEntry]:
    """What squeue says. Each line of it, its header too, begins with a mark of ours: others are a wrapper's.

    An answer without even the header is no answer, whatever the exit code.
    """
    answer = _call("squeue", *words, f"--format={MARK}|%i|%j|%T|%r|%k")
    rows = [line.split("|", 5) for line in answer.splitlines() if line.startswith(f"{MARK}|")]
    if not rows or any(len(row) < 6 for row in rows):
        found = " ".join(answer.split())[:200] or "nothing, not even its header"
        raise SlurmError(f"squeue's answer cannot be read; try again when SLURM's controller is up; it was: {found}")
    return [QueueEntry(*row[1:]) for row in rows if row[1:3] != ["JOBID", "NAME"]]


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
