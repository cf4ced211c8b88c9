"""Kills an import before each change that it makes to the disk, one kill per life; a program.

    python tests/store/killed_imports.py BUNDLE RESULTS

prints one JSON line per life: what was about to happen, and which runs are then done.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from reinit_bench.store.bundle import unpacked
from reinit_bench.store.importing import import_runs
from reinit_bench.store.store import Store

CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}


def live(bundle: Path, results: Path, kill_before: int) -> tuple[int, str]:
    """One life in a process of its own; how it ended, and before which change it was killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        with os.fdopen(reader) as pipe:
            said = pipe.read()
        return os.waitpid(child, 0)[1], said
    os.close(reader)
    count = 0

    def watch(event: str, details: tuple[Any, ...]) -> None:
        nonlocal count
        if event not in CHANGES or not str(details[0]).startswith(str(results)):
            return
        if event == "open" and not details[2] & (os.O_WRONLY | os.O_RDWR):
            return
        count += 1
        if count == kill_before:
            os.write(writer, f"{event} {Path(str(details[0])).relative_to(results.parent)}".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    with unpacked(bundle) as store:
        import_runs(store, Store(results))
    os._exit(0)


def main(bundle: Path, results: Path) -> None:
    status, kill_before = 1, 0
    while status:
        kill_before += 1
        target = results / str(kill_before)
        status, before = live(bundle, target, kill_before)
        store = Store(target)
        done = [run_id for run_id in store.run_ids() if store.read_result(run_id)]
        print(json.dumps({"before": before, "life": kill_before, "done": done}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
