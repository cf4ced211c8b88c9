"""What sub-commands share: reading `name=value` words."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from reinit_bench.sweep.plan import Plan

Words = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="As for a run: study=demo results_dir=DIR")
]


def split_results_dir(words: Sequence[str] | None) -> tuple[Path, list[str]]:
    """The results folder that `results_dir=`, the variable or the default names; and the other words."""
    given = [word.partition("=")[2] for word in words or [] if word.startswith("results_dir=")]
    folder = given[-1] if given else os.environ.get("REINIT_BENCH_RESULTS") or "results"
    return Path(folder).expanduser(), [word for word in words or [] if not word.startswith("results_dir=")]


def plan_of(words: Sequence[str] | None) -> Plan:
    """The plan of the sweep that the words describe, as `reinit-bench -m` would run it."""
    from reinit_bench.cli.compose import composer, sweep_jobs
    from reinit_bench.store.store import no_garbage_collection
    from reinit_bench.sweep.plan import make_plan
    from reinit_bench.sweep.slurm.queue import queued_runs

    # A sweep's command line can be pasted as it is: where it runs does not change what it would run.
    given = [word for word in words or [] if not word.startswith(("hydra.", "hydra/"))]
    with no_garbage_collection(), composer() as compose:
        jobs = sweep_jobs(compose.study_of(given), given)
        return make_plan(compose.planned(jobs), partial(queued_runs, strict=False))
