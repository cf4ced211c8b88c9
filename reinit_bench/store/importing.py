"""Taking the runs of another store into one's own: each whole or not at all, and none of one's own is overwritten."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from reinit_bench.core.config import Experiment
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.checks import RESULT
from reinit_bench.store.lease import Lease, looks_alive
from reinit_bench.store.store import RunFolder, Store


class ImportConflict(ConfigError):
    """A run is in both stores with different results, or is being trained."""


@dataclass(frozen=True)
class Imported:
    """How many runs were written, were there already, and were kept as they are although the other store differs."""

    new: int
    already: int
    kept: int


Runs = list[tuple[RunFolder, RunFolder]]
"""What is to be written: theirs, and where to."""


def import_runs(
    source: Store,
    target: Store,
    *,
    keep: bool = False,
    track: Callable[[Runs], Iterable[tuple[RunFolder, RunFolder]]] = iter,
) -> Imported:
    """Copy the finished runs of `source`, which are known to be whole, into `target`.

    A run that is in `target` with the same result, byte for byte, is passed over. All runs are compared before the
    first one is written, each under its lease. If the process is killed, a run is there whole or is not done, and the
    same import continues.

    Args:
        keep: leave a run as it is that has another result in `target`, or is being trained there.
        track: goes through the runs that are written, as a progress bar does.

    Raises:
        ImportConflict: there is such a run, and not `keep`; nothing was written.
        StoreError: `target` cannot be read or written.
    """
    new: Runs = []
    conflicts, already = [], 0
    for run_id in source.run_ids():
        theirs, ours = source.run(run_id), target.run(run_id)
        conflict = _conflict(theirs, ours)
        if conflict is not None:
            conflicts.append(conflict)
        elif ours.result() is not None:
            already += 1
        else:
            new.append((theirs, ours))
    if conflicts and not keep:
        more = f" (and {len(conflicts) - 1} more)" if len(conflicts) > 1 else ""
        raise ImportConflict(f"{conflicts[0]}{more}; nothing was imported; --keep leaves such runs as they are here")
    for theirs, ours in track(new):
        _take(theirs, ours)
    return Imported(len(new), already, len(conflicts))


def _conflict(theirs: RunFolder, ours: RunFolder) -> str | None:
    """Why a run cannot be taken; None if it can, or is there already."""
    result = ours.result()
    if result is not None:
        if ours.read(RESULT) == theirs.read(RESULT):
            return None
        other = theirs.result() or {}
        title = Experiment.from_dict(other["config"]).title
        accuracies = f"{result['test_accuracy']:.4f} here, {other['test_accuracy']:.4f} in the bundle"
        return (
            f"run {ours.run_id} ({title}) has another result here: test accuracy {accuracies}; "
            f"to take the bundle's, delete {ours.path}"
        )
    status = ours.status()
    if looks_alive(ours, status):
        where = f"process {status.get('pid')} on {status.get('host')}"
        return f"run {ours.run_id} is being trained here by {where}; wait for it or stop it"
    return None


def _take(theirs: RunFolder, ours: RunFolder) -> None:
    files = theirs.finished_files()
    assert files is not None
    ours.create()
    lease = Lease(ours)
    if lease.acquire() is not None:
        raise ImportConflict(f"run {ours.run_id} was finished here meanwhile; import again")
    try:
        ours.write_finished_files(files)
    except BaseException:
        lease.release("interrupted")
        raise
    lease.release("done")
