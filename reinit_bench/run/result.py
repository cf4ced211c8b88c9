"""A run's result: what `result.json` holds."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from reinit_bench.core.config import Execution
from reinit_bench.core.provenance import git_commit, versions
from reinit_bench.kernels import library
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.run.components import Assembly
from reinit_bench.training.evaluate import evaluate
from reinit_bench.training.loop import RoundResult


def run_result(
    run: Assembly,
    execution: Execution,
    rounds: Sequence[Mapping[str, Any]],
    *,
    attempts: int,
    seconds: float,
) -> dict[str, Any]:
    """The content of `result.json`: the last round's accuracies are the run's.

    Args:
        rounds: the recorder's rows, one per round.
        attempts: how many processes have worked on the run.
        seconds: wall-clock time of all of them.
    """
    last = rounds[-1]
    return {
        "run_id": run.experiment.run_id,
        "test_accuracy": last["test_accuracy"],
        "validation_accuracy": last["validation_accuracy"],
        "train_accuracy": last["train_accuracy"],
        **_under_label_noise(run),
        "test_loss": last["test_loss"],
        "rounds": len(rounds),
        "steps": sum(row["steps"] for row in rounds),
        "wall_seconds": seconds,
        "attempts": attempts,
        "weights_sha256": weights_sha256(run.net),
        "device": device_name(run.components.device),
        "compiled_layers": library.used(),
        "study": execution.study,
        "versions": versions(),
        "git_commit": git_commit(),
        "config": run.experiment.to_dict(),
    }


def _under_label_noise(run: Assembly) -> dict[str, float]:
    """Accuracy on the training split's true labels, where `train_accuracy` is that on the noisy ones."""
    task = run.task.of_round(len(run.rounds))
    if task.clean_labels is None:
        return {}
    clean = replace(task, train=replace(task.train, labels=task.clean_labels))
    return {"clean_train_accuracy": evaluate(run.net, clean, "train", run.experiment.precision).accuracy}


def warn_at_chance(ended: RoundResult, num_classes: int) -> None:
    """Warn of a round that ended because its validation error stood still, before it had learned anything."""
    if ended.converged and ended.train_accuracy < 2 / num_classes:
        warnings.warn(
            f"round {ended.index} ended near chance (training accuracy {ended.train_accuracy:.1%} of {num_classes} "
            "classes): its validation error never moved; raise trainer.patience_epochs or trainer.lr",
            stacklevel=2,
        )


def weights_sha256(net: BlockNet) -> str:
    """A hash of every value in the state dict, in order."""
    digest = hashlib.sha256()
    for name, value in net.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def device_name(device: torch.device) -> str:
    """The name of the device that trained: the GPU's name, or `cpu`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
