"""Pack finished runs into one file, to send to someone."""

from __future__ import annotations

import hashlib
from glob import escape
from pathlib import Path
from typing import Annotated

import typer

from reinit_bench.cli.commands._shared import check_exists, plan_of, progress_bar, split_results_dir, tell_left_out
from reinit_bench.core.settings import ConfigError

Words = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME=VALUE]... FILE", help="Which runs, as for plan: study=demo; FILE")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite FILE if it holds something else.")]


def command(words: Words = None, force: Force = False) -> None:
    """Write the finished runs of a sweep (study=demo), or of the whole results folder, to FILE (.tar.gz)."""
    from reinit_bench.store.bundle import ENDING, pack
    from reinit_bench.store.files import StoreError, remove_left, write_bytes
    from reinit_bench.store.store import Store

    results_dir, given = split_results_dir(words)
    files = [word for word in given if "=" not in word]
    if len(files) != 1:
        raise ConfigError(f"export needs one FILE to write, as in runs.tar.gz; got {' '.join(files) or 'none'}")
    file = Path(files[0])
    if file.is_dir() or not file.parent.is_dir():
        raise ConfigError(f"{file} {'is a folder' if file.is_dir() else 'lies in no folder'}; give export a FILE")
    if not file.name.endswith((ENDING, ".tgz")):
        raise ConfigError(f"export writes a gzipped tar archive: end the name of {file} in {ENDING}")
    check_exists(results_dir)
    store = Store(results_dir)
    run_ids, asked = store.run_ids(), ""
    if len(given) > 1:
        plan = plan_of([word for word in words or [] if word != files[0]])
        run_ids = [run.run_id for run in plan.in_state("done")]
        asked = f" of {len(plan.runs) + plan.waiting}"
    packed = pack(store, run_ids, progress_bar("Exporting"))
    tell_left_out(packed.left_out)
    if not packed.runs:
        raise ConfigError(f"there is nothing to export: none{asked} of the runs in {results_dir} is finished")
    if file.exists() and not force and file.read_bytes() != packed.content:
        raise ConfigError(f"{file} exists and holds something else; give another name, or --force to overwrite it")
    remove_left(file.parent, f".{escape(file.name)}.*.tmp")
    try:
        write_bytes(file, packed.content)
    except StoreError as error:
        raise ConfigError(f"cannot write {file}: {getattr(error.__cause__, 'strerror', error)}") from error
    size = f"{len(packed.content) / 1e6:.1f} MB"
    print(f"{packed.runs}{asked} runs of {results_dir} in {file} ({size})")
    print(f"SHA-256 {hashlib.sha256(packed.content).hexdigest()}")
