"""What of a sweep still waits for a worker, in the order that lets runs share rounds; and the shared rounds' end.

Nobody ever waits: where the run that trains a shared round is still at it, another run of its family trains it too
rather than to leave a worker idle.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from reinit_bench.config import Execution
from reinit_bench.sharing import Others, family_of, others_of, round_limit, trunk_folder, trunks_dir
from reinit_bench.sweep.packs import Pack
from reinit_bench.sweep.plan import PlannedRun

Family = tuple[str, str]
_IN_USE = ".in_use"


@dataclass(frozen=True)
class Place:
    """Where a run stands among those that may have rounds in common with it."""

    family: Family
    limit: int
    """Most steps of its first round."""
    folder: Path
    """Its group's shared rounds."""

    @classmethod
    def of(cls, run: PlannedRun) -> Place:
        folder = trunk_folder(Execution.from_dict(run.config).results_dir, run.experiment)
        return cls(family_of(run.experiment), round_limit(run.experiment), folder)


class Waiting:
    """The packs of a sweep that no worker has yet; an iterable of them.

    First comes a run whose first round has been trained, then one whose first round nobody is at, the smallest budget
    before larger ones, which go on from it, then any; else in the order given.
    """

    def __init__(self, packs: Iterable[Pack]) -> None:
        self._packs = list(packs)
        self._places = {pack[0].run_id: Place.of(pack[0]) for pack in self._packs if shares(pack)}
        self._at_work: dict[str, PlannedRun] = {}
        self._in_first_round: set[str] = set()
        self._trained: dict[Family, set[int]] = {}
        self._used: dict[Path, GroupInUse] = {}

    def __bool__(self) -> bool:
        return bool(self._packs)

    def __iter__(self) -> Iterator[Pack]:
        return iter(self._packs)

    def _sharing(self) -> Iterator[tuple[PlannedRun, Place]]:
        """The waiting runs that may have rounds in common with others."""
        for pack in self._packs:
            if pack[0].run_id in self._places:
                yield pack[0], self._places[pack[0].run_id]

    def take(self) -> tuple[Pack, Others]:
        """The pack to be served next, and who may want its rounds."""
        smallest = self._smallest_limits()
        best = min(range(len(self._packs)), key=lambda number: self._rank(self._packs[number][0], smallest))
        pack = self._packs.pop(best)
        self._at_work.update({run.run_id: run for run in pack})
        place = self._places.get(pack[0].run_id)
        if place is None:
            return pack, Others()
        self._in_first_round.add(pack[0].run_id)
        group = (run.experiment for run, other in self._sharing() if other.folder == place.folder)
        others = others_of(pack[0].experiment, group)
        if place.folder not in self._used and (others.first_round or place.folder.is_dir()):
            self._used[place.folder] = GroupInUse(place.folder)
        return pack, others

    def _smallest_limits(self) -> dict[Family, int]:
        """By family, the smallest limit of a first round that is not over."""
        smallest: dict[Family, int] = {}
        for _, place in self._sharing():
            smallest[place.family] = min(place.limit, smallest.get(place.family, place.limit))
        for place in (self._places[run_id] for run_id in self._in_first_round):
            # One less: to its own equals the first round under way is worth waiting for too.
            smallest[place.family] = min(place.limit - 1, smallest.get(place.family, place.limit))
        return smallest

    def _rank(self, run: PlannedRun, smallest: Mapping[Family, int]) -> int:
        """0 where its first round is there, 1 where nobody trains it, 2 where it would be worth waiting."""
        place = self._places.get(run.run_id)
        if place is None:
            return 1
        if place.limit in self._trained.get(place.family, ()):
            return 0
        return 1 if place.limit <= smallest[place.family] else 2

    def put_back(self, run: PlannedRun) -> None:
        """A run whose worker died is served again, alone and first."""
        self._leave(run)
        self._packs.insert(0, (run,))

    def heard(self, run: PlannedRun, kind: str, values: Mapping[str, Any]) -> None:
        """Take in an event of a run: the end of its first round makes it one that others can take."""
        if kind != "round" or run.run_id not in self._in_first_round:
            return
        self._in_first_round.discard(run.run_id)
        mine = self._places[run.run_id]
        if any(mine.folder.glob("*.pt")):
            # Where it converged, larger budgets come to the same end.
            larger = {place.limit for _, place in self._sharing() if place.family == mine.family}
            limits = {limit for limit in larger if values["steps"] < mine.limit and values["steps"] <= limit}
            self._trained.setdefault(mine.family, set()).update({mine.limit} | limits)

    def ended(self, run: PlannedRun) -> None:
        """A run is over: where it was the last of its group, the group's shared rounds go."""
        self._leave(run)
        place = self._places.get(run.run_id)
        if place is None or place.folder not in self._used:
            return
        left = [*(other.run_id for other, _ in self._sharing()), *self._at_work]
        if not any(run_id in self._places and self._places[run_id].folder == place.folder for run_id in left):
            self._used.pop(place.folder).end()

    def _leave(self, run: PlannedRun) -> None:
        self._at_work.pop(run.run_id, None)
        self._in_first_round.discard(run.run_id)

    def close(self) -> None:
        """The sweep stops: shared rounds of runs that are not done stay for the command that goes on."""
        for used in self._used.values():
            used.release()
        self._used.clear()


class GroupInUse:
    """This process uses a group's shared rounds: no other one may remove them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: IO[bytes] | None = None
        # Where nothing can be written there will be nothing to share, and what cannot be locked may be lost.
        with suppress(OSError):
            self._lock = locked(folder, fcntl.LOCK_SH)

    def release(self) -> None:
        """Use them no longer."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def end(self) -> None:
        """Use them no longer, and remove them unless another process does."""
        self.release()
        remove_unused(self.folder)


def remove_unused(folder: Path) -> None:
    """Remove a group's shared rounds, unless a process uses them."""
    try:
        lock = locked(folder, fcntl.LOCK_EX)
    except BlockingIOError:
        return
    except OSError:  # a file system without locks: what another process then misses, it trains
        lock = None
    shutil.rmtree(folder, ignore_errors=True)
    if lock is not None:
        lock.close()
    with suppress(OSError):  # other groups are there
        folder.parent.rmdir()


def remove_leftovers(results_dir: Path, wanted: Collection[str]) -> None:
    """Remove what killed sweeps left, but for the groups that are still `wanted`."""
    folder = trunks_dir(results_dir)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() and path.name not in wanted:
            remove_unused(path)


def locked(folder: Path, how: int) -> IO[bytes]:
    """Lock a group's folder with its other users (LOCK_SH) or against them (LOCK_EX).

    Closing what is returned, or the end of the process however it comes, gives the lock back.

    Raises:
        BlockingIOError: other processes hold it.
        OSError: the file system refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stream = (folder / _IN_USE).open("wb")
    try:
        fcntl.flock(stream, how | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        raise
    return stream


def shares(pack: Pack) -> bool:
    """Whether a pack is one run that may have its rounds from others; seeds side by side have none in common."""
    return len(pack) == 1 and Execution.from_dict(pack[0].config).share_rounds
