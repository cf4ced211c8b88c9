"""A run's result: what `result.json` holds, and what is done with one that is there already."""

from __future__ import annotations

import dataclasses
import hashlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.provenance import git_commit, versions
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.run.components import Parts
from reinit_bench.run.recorder import Journal
from reinit_bench.store.store import CorruptResult, RunFolder
from reinit_bench.training.observer import RoundEnd


def finished_result(folder: RunFolder) -> dict[str, Any] | None:
    """The result of a finished run; one that does not validate is set aside with a warning, and the run not done."""
    try:
        return folder.result()
    except CorruptResult as error:
        aside = folder.set_aside_corrupt_result()
        warnings.warn(f"{error}; kept as {aside.name}, running again", stacklevel=2)
        return None


def run_result(
    experiment: Experiment,
    execution: Execution,
    parts: Parts,
    journal: Journal,
    net: BlockNet,
    attempts: int,
    seconds: float,
) -> dict[str, Any]:
    """The content of `result.json`: the last round's accuracies are the run's."""
    last = journal.rounds[-1]
    return {
        "run_id": experiment.run_id,
        "test_accuracy": last["test_accuracy"],
        "validation_accuracy": last["validation_accuracy"],
        "train_accuracy": last["train_accuracy"],
        "test_loss": last["test_loss"],
        "rounds": len(journal.rounds),
        "steps": journal.total_step,
        "wall_seconds": seconds,
        "attempts": attempts,
        "weights_sha256": weights_sha256(net),
        "device": device_name(parts.device),
        "study": execution.study,
        "versions": versions(),
        "git_commit": git_commit(),
        "config": experiment.to_dict(),
    }


def round_end(rows: Sequence[Mapping[str, Any]], rounds: int) -> RoundEnd:
    """The event of the last of these rounds, as the journal keeps them."""
    last, names = rows[-1], {spec.name for spec in dataclasses.fields(RoundEnd)}
    values = {name: value for name, value in last.items() if name in names}
    return RoundEnd(round=last["index"], rounds=rounds, total_step=sum(row["steps"] for row in rows), **values)


def weights_sha256(net: BlockNet) -> str:
    """A hash of every value in the state dict, in order."""
    digest = hashlib.sha256()
    for name, value in net.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def device_name(device: torch.device) -> str:
    """What trained: the GPU's name, or `cpu`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
