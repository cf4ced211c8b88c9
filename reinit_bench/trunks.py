"""Shared rounds: what one run has trained, another one takes or goes on from, with the same bits in the end.

A round is determined by its key: a hash of all that `train_round` is given. So the runs of a sweep form a prefix tree,
a trunk being the part that several have in common. A finished round leaves up to two files in its group's folder, named
by its key and its number of steps:

- `converged`: it ended by itself; any run with at least so many steps to spend takes it as it is;
- `ended`: the step limit ended it; runs with this very limit take it;
- `limit`: beside `ended`, the state when the limit was hit; runs with a higher one go on from it as from a checkpoint.

A file that is torn, altered or another round's is passed over, and the round trained.
"""

from __future__ import annotations

import hashlib
import json
import platform
import warnings
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reinit_bench.config import Execution, Experiment
from reinit_bench.journal import Journal
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.provenance import versions
from reinit_bench.rounds import Round
from reinit_bench.sharing import Others, trunk_folder
from reinit_bench.store import StoreError
from reinit_bench.training.checkpoint import CorruptCheckpoint, read_checkpoint, write_checkpoint
from reinit_bench.training.loop import RoundResult, RoundState
from reinit_bench.training.observer import EpochEnd
from reinit_bench.training.step import backend_of

FORMAT = 1
CONVERGED, ENDED, LIMIT = "converged", "ended", "limit"


@dataclass(frozen=True, kw_only=True)
class Trunk:
    """What another run has trained of a round."""

    run_id: str
    """Whose it is."""
    net: dict[str, Tensor]
    epochs: Sequence[Mapping[str, Any]]
    """The round's curve so far: the fields of each `EpochEnd`."""
    steps: int
    seconds: float
    """Spent on it by whoever trained it."""
    result: dict[str, Any] | None = None
    """Of a round that is whole."""
    optimizer: dict[str, Any] | None = None
    """At the end of a whole round, where it is carried over."""
    round: dict[str, Any] | None = None
    """The `RoundState` of one that is not."""

    def result_of(self, own: Round) -> RoundResult | None:
        """The round's result as that of the run which takes it; None where there is more to train."""
        if self.result is None:
            return None
        return RoundResult(**{**self.result, "block": own.block, "repeat": own.repeat, "seconds": 0.0})

    def state(self) -> RoundState | None:
        """Where to go on; None where the round is whole."""
        return None if self.round is None else RoundState(**{**self.round, "seconds": 0.0})

    def events(self, total_step: int) -> Iterator[EpochEnd]:
        """The curve, for a run that had done `total_step` steps before the round."""
        for epoch in self.epochs:
            losses = tuple(epoch["losses"])
            yield EpochEnd(**{**epoch, "losses": losses, "total_step": total_step + epoch["step"]})


class Trunks:
    """A run's way through the tree: for each of its rounds, what there is of it and what is worth leaving.

    Args:
        journal: the run's; its `branch` holds what a checkpoint must know of the running round.
        rounds: all of the run's.
        others: who may still want a round; where nobody may, nothing is written.
    """

    def __init__(
        self,
        experiment: Experiment,
        execution: Execution,
        device: torch.device,
        journal: Journal,
        rounds: Sequence[Round],
        others: Others,
    ) -> None:
        self.run_id, self.device = experiment.run_id, device
        self.journal, self.rounds, self.others = journal, rounds, others
        self.enabled = execution.share_rounds
        self.folder = trunk_folder(execution.results_dir, experiment)
        self.group = {"group": experiment.group_id, **environment(experiment, execution, device)}
        self.epochs: list[EpochEnd] = []
        self.is_converged = True

    def find(self, net: BlockNet, round_: Round, frozen: Set[str], carried: Any) -> Trunk | None:
        """What another run has left of this round, which is about to begin; None: it must be trained from its start."""
        self.epochs, self.is_converged, self.journal.branch = [], True, {}
        if not self.enabled or not (self._is_wanted(round_) or self.folder.is_dir()):
            return None
        start = {"round": round_.index, "frozen": sorted(frozen)}
        key = digest([FORMAT, self.group, start, dict(net.state_dict()), carried])
        self.journal.branch = {"key": key, "group": digest(self.group)}
        trunk = next(self._found(key, round_.max_steps), None)
        if trunk is not None:
            self.journal.branch["shared"] = {
                "shared_from": trunk.run_id,
                "shared_steps": trunk.steps,
                "shared_seconds": trunk.seconds,
            }
        return trunk

    def resume(self, round_: Round) -> None:
        """A checkpoint's round goes on: its curve so far is the journal's, which keeps one loss an epoch."""
        branch = self.journal.branch
        if branch.get("group") not in (None, digest(self.group)):
            # It began on another machine or with other code: its bits are not those that this one would have made.
            self.journal.branch = {**branch, "key": None}
        rows = [row for row in self.journal.history if row["round"] == round_.index]
        kept = [{key: value for key, value in row.items() if key != "train_loss"} for row in rows]
        losses = [(row["train_loss"],) for row in rows]
        self.epochs = [EpochEnd(**row, losses=loss) for row, loss in zip(kept, losses, strict=True)]

    def epoch_ended(self, event: EpochEnd) -> None:
        """Keep a point of the curve."""
        self.epochs.append(event)

    def limit_reached(self, net: BlockNet, round_: Round, state: RoundState) -> None:
        """Leave the state from which a higher limit goes on."""
        self.is_converged = False
        self._leave(LIMIT, round_, net, state.step, state.seconds, round=vars(state))

    def round_ended(self, net: BlockNet, round_: Round, result: RoundResult, optimizer: Any) -> None:
        """Leave a round that this run has trained to its end."""
        kind = CONVERGED if self.is_converged else ENDED
        self._leave(kind, round_, net, result.steps, result.seconds, result=asdict(result), optimizer=optimizer)

    def _leave(self, kind: str, round_: Round, net: BlockNet, steps: int, seconds: float, **rest: Any) -> None:
        branch = self.journal.branch
        key, before = branch.get("key"), branch.get("shared", {}).get("shared_seconds", 0.0)
        if not self.enabled or key is None or not self._is_wanted(round_):
            return
        epochs = [asdict(event) for event in self.epochs]
        content = {"net": net.state_dict(), "epochs": epochs, "steps": steps, "seconds": before + seconds, **rest}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{key}-{steps}.{kind}.pt"
            write_checkpoint(path, {"key": key, "kind": kind, "run_id": self.run_id, **content})
        except (StoreError, OSError) as error:
            warnings.warn(f"round {round_.index} is not shared with other runs: {error}", stacklevel=2)

    def _is_wanted(self, round_: Round) -> bool:
        """Whether another run may come to this very round.

        To the first, many. To a later one, runs with another budget if no round before depended on it; and variants of
        the method if every round before was shared with one already.
        """
        if round_.index == 1:
            return self.others.first_round > 0
        before = list(zip(self.journal.rounds, self.rounds, strict=False))
        free = all(row["steps"] < planned.max_steps for row, planned in before)
        shared = all("shared_from" in row for row, _ in before)
        return bool((self.others.same_settings and free) or (self.others.same_method and shared))

    def _found(self, key: str, limit: int) -> Iterator[Trunk]:
        """Trunks of the round that a run with this step limit can use, the one that saves most first."""
        usable = []
        for path in self.folder.glob(f"{key}-*.pt"):
            steps, _, kind = path.name.removeprefix(f"{key}-").removesuffix(".pt").partition(".")
            there = int(steps) if steps.isdigit() else 0
            if (kind == CONVERGED and there <= limit) or (kind == ENDED and there == limit):
                usable.append((limit, path, kind))
            elif kind == LIMIT and there < limit:
                usable.append((there, path, kind))
        for _, path, kind in sorted(usable, reverse=True):
            trunk = _read(path, key, kind, self.device)
            if trunk is not None:
                yield trunk


def _read(path: Path, key: str, kind: str, device: torch.device) -> Trunk | None:
    try:
        content = read_checkpoint(path, device)
    except (OSError, CorruptCheckpoint):
        return None
    if (content.pop("key", None), content.pop("kind", None)) != (key, kind):
        return None
    return Trunk(**content)


def environment(experiment: Experiment, execution: Execution, device: torch.device) -> dict[str, Any]:
    """What beside the experiment decides the bits of a round: the code's versions, the machine, how it computes."""
    on_gpu = device.type == "cuda"
    return {
        "versions": versions(),
        "device": torch.cuda.get_device_name(device) if on_gpu else torch.backends.cpu.get_cpu_capability(),
        "host": None if on_gpu else platform.node(),
        "threads": torch.get_num_threads(),
        "compile": backend_of(execution.compile, device),
        "micro_batch": experiment.trainer.micro_batch,
    }


def digest(value: Any) -> str:
    """SHA-256 of a nest of dicts, lists, plain values and tensors, these with their types and shapes."""
    found = hashlib.sha256()
    _feed(found, value)
    return found.hexdigest()[:32]


def _feed(found: Any, value: Any) -> None:
    if isinstance(value, Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1)
        found.update(f"{value.dtype}{tuple(value.shape)}".encode())
        found.update(flat.view(torch.uint8).numpy().data)
    elif isinstance(value, Mapping):
        found.update(f"{{{len(value)}".encode())
        for name, item in value.items():
            _feed(found, str(name))
            _feed(found, item)
    elif isinstance(value, (list, tuple)):
        found.update(f"[{len(value)}".encode())
        for item in value:
            _feed(found, item)
    else:
        found.update(json.dumps(value).encode() + b"\0")
