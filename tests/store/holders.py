"""Processes that hold a run until they are stopped."""

from __future__ import annotations

import os
import signal
import subprocess

BEAT = 0.1
"""Seconds between heartbeats in these tests."""

HOLD = (
    "import signal, sys; from pathlib import Path; from reinit_bench.store.store import RunFolder;"
    "from reinit_bench.store.lease import Lease; Lease(RunFolder(Path(sys.argv[1]))).acquire();"
    "print('held', flush=True); signal.pause()"
)


def kill_all(process: subprocess.Popen[str], *signals: signal.Signals) -> None:
    """Send signals to everything that the process has started."""
    for number in signals:
        if process.poll() is None:
            os.killpg(process.pid, number)
