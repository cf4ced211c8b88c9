"""The program that runs in the environment with TensorFlow: jobs, from a builder's download to a finished cache."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console

from reinit_bench.core.settings import ConfigError
from reinit_bench.data.cache import Cache, CorruptCache
from reinit_bench.data.preparing.job import Job


def main(text: str) -> int:
    """Do the jobs given as a JSON array; each ends with a line on standard output: [its title, its error or null]."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="")
    failed = 0
    for job in map(Job.from_dict, json.loads(text)):
        error: str | None = None
        # Libraries may print what they like; standard output is ours.
        with contextlib.redirect_stdout(sys.stderr):
            try:
                prepare(job, Console(stderr=True))
            except ConfigError as problem:
                error = str(problem)
            except OSError as problem:
                error = f"{job.title}: {problem}"
        print(json.dumps([job.title, error]), flush=True)
        failed += error is not None
    return 1 if failed else 0


def prepare(job: Job, console: Console) -> Cache:
    """Build the job's cache, unless it exists and is intact; one process at a time.

    Raises:
        ConfigError: a file cannot be obtained, or the data are not as expected; nothing half-made remains.
    """
    root = job.root
    lock = FileLock(root / "locks" / f"{job.cache.path.name}.lock")
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        console.out(f"{job.title}: another process is preparing it; waiting")
        lock.acquire()
    with lock:
        if _is_whole(job.cache, console):
            return job.cache
        work = root / "work" / job.cache.path.name
        _sweep(work)
        try:
            cache = _build(job, work, console)
        except Exception:
            # The downloads stay; a broken intermediate product would stand in the next attempt's way.
            shutil.rmtree(work, ignore_errors=True)
            raise
        shutil.rmtree(work, ignore_errors=True)
    return cache


def _is_whole(cache: Cache, console: Console) -> bool:
    if not cache.exists():
        return False
    try:
        cache.check(hashes=True)
    except CorruptCache as error:
        console.out(f"corrupt: {error}; rebuilding it")
        return False
    return True


def _sweep(work: Path) -> None:
    """Remove what a killed process left half-made; what it finished (extracted archives, TFDS's files) is reused."""
    for pattern in ("**/*.incomplete*", "**/*incomplete.*", "**/*.tmp.*"):
        for path in list(work.glob(pattern)):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _build(job: Job, work: Path, console: Console) -> Cache:
    from reinit_bench.data.preparing.builder import open_builder, prepared
    from reinit_bench.data.preparing.convert import convert

    builder: Any = open_builder(job, work)
    prepared(job, builder, work, console)
    return convert(job, builder, console)
