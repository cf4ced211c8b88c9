"""The Python that has TensorFlow: datasets are prepared there, in another process; training never imports it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from reinit_bench.core.settings import ConfigError
from reinit_bench.data.cache import Cache
from reinit_bench.data.locations import one_at_a_time
from reinit_bench.data.preparing.convert import write
from reinit_bench.data.preparing.job import Job
from reinit_bench.data.preparing.program import prepare
from reinit_bench.data.preparing.readers import read

VARIABLE = "REINIT_BENCH_PREPARE_PYTHON"

REQUIREMENTS = (
    "tensorflow-cpu==2.21.0",
    "tensorflow-datasets==4.9.10",
    "importlib_resources>=6.4",
    "scipy>=1.13",
    "pillow>=11",
    "filelock>=3.30",
    "rich>=13.7",
)
"""What preparing needs; the extra `reinit-bench[prepare]` is the same list."""

LAUNCH = Path(__file__).with_name("bootstrap.py")


def prepare_all(jobs: Sequence[Job], console: Console) -> dict[str, str | None]:
    """Build caches: from files that are there in this process, else by TFDS in an environment that has TensorFlow.

    Returns:
        What went wrong (None: nothing) with each job, by its title; a failure does not stop the others.
    """
    outcomes: dict[str, str | None] = {}
    left = []
    for job in jobs:
        try:
            if prepare(job, console, from_files) is None:
                left.append(job)
            else:
                outcomes[job.title] = None
        except ConfigError as error:
            outcomes[job.title] = str(error)
        except OSError as error:
            outcomes[job.title] = f"{job.title}: {error}"
    return outcomes | run_jobs(left, console)


def from_files(job: Job, work: Path, console: Console) -> Cache | None:
    """Build a cache from the files that the user named, or that lie where files are looked for; None without any.

    Raises:
        ConfigError: the files are damaged, or not of this dataset.
    """
    for folder, asked in job.folders:
        if asked or folder.is_dir():
            found = read(job, folder, work, asked=asked)
            if found is not None:
                console.out(f"{job.title}: read from {folder}", highlight=False)
                return write(job, found, console)
    if job.source.reduced:
        raise ConfigError(f"{job.title} can only be made from files: {job.source.where}")
    return None


def run_jobs(jobs: Sequence[Job], console: Console) -> dict[str, str | None]:
    """Build caches in an environment that has TensorFlow, which is created if there is none.

    Returns:
        What went wrong (None: nothing) with each job, by its title; a failure does not stop the others.

    Raises:
        ConfigError: there is no such environment and none can be created.
    """
    if not jobs:
        return {}
    python = prepare_python(jobs[0].root, console)
    # Each job ends with a line on standard output; everything else goes to standard error as it comes.
    done = subprocess.run(worker_command(python, jobs), stdout=subprocess.PIPE, text=True, env=_environment())
    outcomes = dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))
    return {
        job.title: outcomes.get(job.title, f"{job.title}: preparing ended with code {done.returncode}") for job in jobs
    }


def worker_command(python: Path, jobs: Sequence[Job]) -> list[str]:
    """The command that does the jobs. -P keeps the script's folder off the import path."""
    return [str(python), "-P", str(LAUNCH), json.dumps([job.to_dict() for job in jobs])]


def prepare_python(root: Path, console: Console) -> Path:
    """The interpreter that prepares datasets.

    It is the one that the variable names, or this one if it has what is needed, or that of an environment created below
    `root`.

    Raises:
        ConfigError: the variable does not name a file, or the environment cannot be created.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        if not Path(chosen).is_file():
            raise ConfigError(f"{VARIABLE} is {chosen}, which is not a file; set it to the path of a Python")
        return Path(chosen)
    if all(find_spec(name) for name in ("tensorflow", "tensorflow_datasets", "importlib_resources")):
        return Path(sys.executable)
    version = hashlib.sha256("\n".join((sys.version, *REQUIREMENTS)).encode()).hexdigest()[:8]
    return _isolated(root / f"prepare-env-{version}", console)


def _isolated(folder: Path, console: Console) -> Path:
    """The interpreter of the environment in `folder`, which is created if it is not complete."""
    python, complete = folder / "bin" / "python", folder / "complete"
    if complete.exists():
        return python
    with one_at_a_time(folder.parent, folder.name, console.out):
        if complete.exists():
            return python
        console.out(f"creating an environment with TensorFlow in {folder} (about 2 GB; once)")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            _run([sys.executable, "-m", "venv", str(folder)])
            _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS])
        except ConfigError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        complete.touch()
    return python


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        last = done.stdout.strip().splitlines()[-1:] or [f"code {done.returncode}"]
        raise ConfigError(
            f"cannot create the environment that prepares datasets: `{' '.join(command[1:4])}` failed: {last[0]}; "
            f"without a network, set {VARIABLE} to a Python that has {', '.join(REQUIREMENTS[:2])}"
        )


def _environment() -> dict[str, str]:
    """This process's environment variables, without those that would mix its libraries into another Python's."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
