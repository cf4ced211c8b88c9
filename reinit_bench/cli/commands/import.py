"""Take the runs of a bundle, which export wrote, into the results folder."""  # noqa: N999

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reinit_bench.cli.commands._shared import progress_bar, split_results_dir
from reinit_bench.core.settings import ConfigError

Words = Annotated[list[str] | None, typer.Argument(metavar="FILE [results_dir=DIR]", help="A bundle; where to")]
Keep = Annotated[bool, typer.Option("--keep", help="Leave runs as they are that have another result here.")]


def command(words: Words = None, keep: Keep = False) -> None:
    """Check a bundle and write its runs to RESULTS_DIR; what is there already is passed over."""
    from reinit_bench.store.bundle import unpacked
    from reinit_bench.store.importing import import_runs
    from reinit_bench.store.store import Store

    results_dir, files = split_results_dir(words)
    if len(files) != 1:
        raise ConfigError(f"import accepts one FILE and results_dir=DIR; got {' '.join(files) or 'no FILE'}")
    with unpacked(Path(files[0])) as bundle:
        done = import_runs(bundle, Store(results_dir), keep=keep, track=progress_bar("Importing"))
    counts = {"imported": done.new, "there already": done.already, "left as they are here": done.kept}
    found = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    print(f"runs of {files[0]} in {results_dir}: {found or 'none'}")
