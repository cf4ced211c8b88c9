"""Logs by run id. A task has one log for all of its runs; the batch tells which task a run is in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reinit_bench.sweep.slurm.batch import batches


def logs_of(results_dir: Path, beginning: str) -> list[tuple[str, Path]]:
    """Runs whose id starts with `beginning`, each with the logs of the tasks that contained it, oldest first."""
    found = []
    for batch in batches(results_dir):
        for index, run_ids in enumerate(batch.tasks):
            for run_id in run_ids:
                if run_id.startswith(beginning):
                    found += [(run_id, path) for path in sorted((batch.folder / "logs").glob(f"*_{index}.log"))]
    return found


def lines_of(path: Path, run_id: str) -> Iterator[str]:
    """The lines of a log from the first to the last that names a run, with whatever was printed in between."""
    lines = path.read_text(errors="replace").splitlines()
    own = [number for number, line in enumerate(lines) if run_id in line]
    return iter(lines[own[0] : own[-1] + 1] if own else [])
