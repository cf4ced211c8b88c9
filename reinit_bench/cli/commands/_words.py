"""What sub-commands share: their arguments, and the plan that these describe."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reinit_bench.cli.words import readable, results_dir_of, without_results_dir
from reinit_bench.core.settings import ConfigError

if TYPE_CHECKING:
    from reinit_bench.sweep.plan import Plan

Words = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="As for a run: study=demo results_dir=DIR")
]


def split_results_dir(words: Sequence[str] | None) -> tuple[Path, list[str]]:
    """The results folder, from `results_dir=`, the configuration, the variable or the default; and the other words."""
    return results_dir_of(words or []), without_results_dir(words or [])


def only_results_dir(command: str, words: Sequence[str] | None) -> Path:
    """The results folder, for a sub-command that accepts nothing else.

    Raises:
        ConfigError: there are other words.
    """
    results_dir, others = split_results_dir(words)
    if others:
        raise ConfigError(f"{command} accepts only results_dir=DIR; got {' '.join(others)}")
    return results_dir


def plan_of(words: Sequence[str] | None) -> Plan:
    """The plan of the sweep that the arguments describe, as `reinit-bench -m` would run it."""
    from reinit_bench.cli.compose import composer
    from reinit_bench.sweep.plan import make_plan
    from reinit_bench.sweep.slurm.queue import queued_runs

    # So that a sweep's command line can be pasted unchanged: where it runs does not change what it would run.
    given = [word for word in readable(words or []) if not word.startswith(("hydra.", "hydra/"))]
    with composer() as compose:
        jobs = compose.jobs(given)
        return make_plan(compose.planned(jobs), partial(queued_runs, strict=False), jobs.waiting)
