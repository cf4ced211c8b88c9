"""The recorder: what a run writes while it trains, and how that is restored after an interruption."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from reinit_bench.kernels import choice, library
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.store.store import RunFolder
from reinit_bench.training.background import BackgroundWriter, snapshot
from reinit_bench.training.checkpoint import latest_checkpoint, save_checkpoint
from reinit_bench.training.loop import RoundResult, RoundState
from reinit_bench.training.observer import EpochEnd


class Recorder:
    """Rounds and curve of one run, in memory and on disk.

    The checkpoint holds all of it, and `rounds.jsonl` and `history.jsonl` are rewritten from it: lines that a killed
    process wrote after its last checkpoint are replaced, not duplicated.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.rounds: list[dict[str, Any]] = []
        self.history: list[dict[str, Any]] = []
        self.optimizer: dict[str, Any] | None = None
        """The optimizer's state at the end of the last round."""
        self.problems: list[str] = []
        """One message for each checkpoint that could not be read, and one if the run cannot go on as it began."""
        self._writer = BackgroundWriter()
        self._seconds_before = 0.0
        self._started = time.perf_counter()

    @property
    def total_step(self) -> int:
        """Steps of all finished rounds."""
        return sum(row["steps"] for row in self.rounds)

    @property
    def seconds(self) -> float:
        """Seconds spent on this run, including earlier attempts up to their last checkpoint."""
        return self._seconds_before + time.perf_counter() - self._started

    def restore(self, net: BlockNet, device: torch.device) -> RoundState | None:
        """Restore the newest intact checkpoint: the network's weights, this recorder, and the running round's state.

        The clock starts here: what came before does not count towards the run's time.

        Also sets what decides the last bits of every result on the CPU, as the run began: the number of threads, which
        is the order of summation, and which layers are computed by the functions in C.
        """
        self._started = time.perf_counter()
        checkpoint, self.problems = latest_checkpoint(self.folder.path, device)
        if checkpoint is None:
            return None
        net.load_state_dict(checkpoint["net"])
        self.rounds, self.history = checkpoint["rounds"], checkpoint["history"]
        self.optimizer = checkpoint["last_optimizer"]
        self._seconds_before = checkpoint["seconds"]
        torch.set_num_threads(checkpoint["threads"])
        self._use_layers(checkpoint["compiled_layers"] if "compiled_layers" in checkpoint else _by_processor())
        return RoundState(**checkpoint["round"])

    def _use_layers(self, compiled: list[str] | None) -> None:
        reason = choice.obstacle() if compiled else None
        if reason is not None:
            self.problems.append(
                f"this run began with compiled layers ({', '.join(compiled or ())}), and goes on with torch's, which "
                f"are equal up to rounding: {reason}"
            )
            compiled = []
        library.use(compiled)

    def save(self, net: BlockNet, state: RoundState) -> None:
        """Write a checkpoint and then the curve up to that point, both in the background.

        Raises:
            StoreError: the previous checkpoint could not be written.
        """
        content = snapshot(
            {
                "net": net.state_dict(),
                "round": vars(state),
                "rounds": self.rounds,
                "history": self.history,
                "last_optimizer": self.optimizer,
                "seconds": self.seconds,
                "threads": torch.get_num_threads(),
                "compiled_layers": library.used(),
            }
        )

        def write() -> None:
            save_checkpoint(self.folder.path, content, self.folder.fence)
            self.folder.write_curve(content["rounds"], content["history"])

        self._writer.submit(write)

    def wait(self) -> None:
        """Return when everything saved so far is on disk.

        Raises:
            StoreError: it could not be written.
        """
        self._writer.wait()

    def epoch_ended(self, event: EpochEnd) -> None:
        """Add a row to the curve."""
        row = {key: value for key, value in asdict(event).items() if key != "losses"}
        row["train_loss"] = sum(event.losses) / len(event.losses)
        self.history.append(row)

    def round_ended(self, result: RoundResult, optimizer: Mapping[str, Any] | None) -> None:
        """Add a round's row."""
        self.rounds.append(asdict(result))
        self.optimizer = None if optimizer is None else dict(optimizer)
        self._writer.submit(partial(self.folder.write_curve, list(self.rounds), list(self.history)))

    def write(self) -> None:
        """Write `rounds.jsonl` and `history.jsonl` now, if there is anything to write.

        Raises:
            StoreError: they, or something saved earlier, could not be written.
        """
        self.wait()
        if self.rounds or self.history:
            self.folder.write_curve(self.rounds, self.history)

    def close(self) -> None:
        """Remove the checkpoints, which only a running experiment needs."""
        self.wait()
        with self.folder.fence():
            self.folder.tidy()


def _by_processor() -> list[str]:
    """The compiled layers of a run from before checkpoints named them: all, with AVX2 and without AVX512."""
    has_avx2 = torch.backends.cpu.get_cpu_capability() == "AVX2" and choice.obstacle() is None
    return list(choice.KINDS) if has_avx2 else []
