"""Kills an import before each change that it makes to the disk, one kill per life; a program.

    python tests/store/killed_imports.py BUNDLE RESULTS

prints one JSON line per life: what was about to happen, and which runs are then done.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # a program's own folder alone is on the path
from killed_lives import live

from reinit_bench.store.bundle import unpacked
from reinit_bench.store.importing import import_runs
from reinit_bench.store.store import Store


def take(bundle: Path, results: Path) -> None:
    """The import that is killed."""
    with unpacked(bundle) as store:
        import_runs(store, Store(results))


def main(bundle: Path, results: Path) -> None:
    status, kill_before = 1, 0
    while status:
        kill_before += 1
        target = results / str(kill_before)
        status, before = live(partial(take, bundle, target), target, kill_before)
        store = Store(target)
        done = [run_id for run_id in store.run_ids() if store.read_result(run_id)]
        print(json.dumps({"before": before, "life": kill_before, "done": done}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
