from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from holders import BEAT, kill_all

from reinit_bench.store.store import RunFolder, Store


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = Store(tmp_path).run("0123456789abcdef")
    run.create()
    return run


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a process and wait for its first line; it does not outlive the test."""
    processes = []

    def start(command: list[str], **variables: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "REINIT_BENCH_HEARTBEAT_SECONDS": str(BEAT), **variables}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True, cwd="/"
        )
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in processes:
        kill_all(process, signal.SIGCONT, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
