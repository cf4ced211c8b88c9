"""The program that runs in the environment with TensorFlow: jobs, from a builder's download to a finished cache."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from reinit_bench.core.settings import ConfigError
from reinit_bench.data.cache import Cache, CorruptCache
from reinit_bench.data.locations import one_at_a_time
from reinit_bench.data.preparing.convert import write
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
                prepare(job, Console(stderr=True), by_tfds)
            except ConfigError as problem:
                error = str(problem)
            except OSError as problem:
                error = f"{job.title}: {problem}"
        print(json.dumps([job.title, error]), flush=True)
        failed += error is not None
    return 1 if failed else 0


def prepare(job: Job, console: Console, build: Callable[[Job, Path, Console], Cache | None]) -> Cache | None:
    """Build the job's cache, unless it exists and is intact; one process at a time.

    Args:
        build: makes the cache in a folder that is deleted afterwards, or returns None if it has nothing to make it of.

    Raises:
        ConfigError: a file cannot be obtained, or the data are not as expected; nothing half-made remains.
    """
    with one_at_a_time(job.root, job.cache.path.name, console.out):
        if _is_whole(job.cache, console):
            if any(asked for _, asked in job.folders):
                console.out(f"{job.title}: prepared before; {job.source.files} was not read", highlight=False)
            return job.cache
        work = job.root / "work" / job.cache.path.name
        try:
            shutil.rmtree(work, ignore_errors=True)  # what a killed process left
            return build(job, work, console)
        finally:
            shutil.rmtree(work, ignore_errors=True)  # the downloads stay


def _is_whole(cache: Cache, console: Console) -> bool:
    if not cache.exists():
        return False
    try:
        cache.check(hashes=True)
    except CorruptCache as error:
        console.out(f"corrupt: {error}; rebuilding it")
        return False
    return True


def by_tfds(job: Job, work: Path, console: Console) -> Cache:
    """Let TFDS download and read the files; only where TensorFlow is."""
    from reinit_bench.data.preparing.builder import open_builder, prepared
    from reinit_bench.data.preparing.tfds_examples import examples_of

    builder: Any = open_builder(job, work)
    prepared(job, builder, work, console)
    return write(job, examples_of(job, builder), console)
