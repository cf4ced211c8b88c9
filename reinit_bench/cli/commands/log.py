"""What a run printed on SLURM: its lines of its task's log."""

from __future__ import annotations

from typing import Annotated

import typer

from reinit_bench.cli.commands._shared import split_results_dir
from reinit_bench.core.settings import ConfigError

RunId = Annotated[list[str], typer.Argument(metavar="RUN_ID", help="The run's id or its beginning; results_dir=DIR")]


def command(words: RunId) -> None:
    """Print the path of the log that a run's SLURM task wrote, and the run's part of it."""
    from reinit_bench.sweep.slurm.queue import lines_of, logs_of

    results_dir, others = split_results_dir(words)
    if len(others) != 1:
        raise ConfigError("log needs one run id, as printed by `reinit-bench status`")
    found = logs_of(results_dir, others[0])
    for run_id, path in found:
        print(path)
        for line in lines_of(path, run_id):
            print(f"  {line}")
    if not found:
        raise ConfigError(f"no SLURM task under {results_dir} has a log of run {others[0]}")
