"""Check the files of all finished runs against their checksums."""

from __future__ import annotations

from typing import Annotated

import typer

from reinit_bench.cli.commands._shared import Words, only_results_dir, progress_bar
from reinit_bench.core.settings import ConfigError

Seal = Annotated[bool, typer.Option("--seal", help="Add checksums to results of older versions, as they are now.")]


Data = Annotated[bool, typer.Option("--data", help="Check the caches of images in the data folder instead.")]


def command(words: Words = None, seal: Seal = False, data: Data = False) -> int:
    """Check every file of every finished run; exit with 1 if one has changed, is missing, or cannot be read."""
    if data:
        return _data()
    from reinit_bench.core.errors import plain
    from reinit_bench.store.checks import BELONGING
    from reinit_bench.store.reader import read_one
    from reinit_bench.store.store import Store

    results_dir = only_results_dir("verify", words)
    store = Store(results_dir)
    counts = {"whole": 0, "without checksums": 0, "newly sealed": 0, "harmed": 0}
    for run_id in progress_bar("Verifying")(store.run_ids()):
        folder = store.run(run_id)
        try:
            run = read_one(folder, only_done=True)
            if run is None or run.result is None:
                continue
            folder.tidy()
            for name in BELONGING:
                folder.read(name)
            if "files" in run.result:
                counts["whole"] += 1
            elif seal:
                folder.write_result(run.result)
                counts["newly sealed"] += 1
            else:
                counts["without checksums"] += 1
        except ConfigError as error:
            counts["harmed"] += 1
            print(plain(str(error)))
    found = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    print(f"finished runs in {results_dir}: {found or 'none'}")
    return 1 if counts["harmed"] else 0


def _data() -> int:
    """Read all files of all caches; exit with 1 if one is not what its manifest says."""
    from reinit_bench.data.cache import Cache, CorruptCache
    from reinit_bench.data.locations import data_dir

    harmed, folder = 0, data_dir() / "cache"
    caches = sorted(path for path in folder.glob("[!.]*") if path.is_dir())
    for path in progress_bar("Verifying")(caches):
        try:
            Cache(path).check(hashes=True)
        except CorruptCache as error:
            harmed += 1
            print(f"{error}; delete {path}: it is made again, or by reinit-bench prepare")
    print(f"caches in {folder}: {len(caches) - harmed} whole, {harmed} harmed")
    return 1 if harmed else 0
