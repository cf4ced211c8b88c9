"""The record of a run: its folder, lease, rounds and curve, from taking the lease to the state it is left in."""

from __future__ import annotations

import dataclasses
import hashlib
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.provenance import git_commit, slurm_job, versions
from reinit_bench.core.rounds import Round
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.task import Task
from reinit_bench.kernels import available, library
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.store.files import StoreError
from reinit_bench.store.lease import Lease, LeaseLost
from reinit_bench.store.store import Store
from reinit_bench.training.checkpoint import BackgroundWriter, latest_checkpoint, save_checkpoint, snapshot
from reinit_bench.training.interrupt import Interrupt, Interrupted
from reinit_bench.training.observer import EpochEnd, Observer, RoundEnd, RunEnd, RunStart
from reinit_bench.training.round import RoundResult, RoundState
from reinit_bench.training.step import evaluate


class Record:
    """A run held by this process: what it writes while it trains, and what it tells its observer.

    A checkpoint holds rounds and curve, and `rounds.jsonl` and `history.jsonl` are rewritten from it: lines that a
    killed process wrote after its last checkpoint are replaced, not duplicated.

    Attributes:
        result: the content of `result.json`; None until the run is done.
        rounds: a row for each finished round.
        history: a row for each epoch.
        optimizer: the optimizer's state at the end of the last round, if the next round starts from it.
    """

    def __init__(self, experiment: Experiment, execution: Execution, observer: Observer, interrupt: Interrupt) -> None:
        self.experiment, self.execution, self.observer = experiment, execution, observer
        self.folder = Store(execution.results_dir).run(experiment.run_id)
        self.lease = Lease(self.folder, slurm_job=slurm_job())
        self.folder.create()
        self.result = self.lease.acquire(lambda: interrupt.requested)
        self.rounds: list[dict[str, Any]] = []
        self.history: list[dict[str, Any]] = []
        self.optimizer: dict[str, Any] | None = None
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
        """Restore the newest intact checkpoint: the network's weights, this record, and the running round's state.

        The clock starts here: what came before does not count towards the run's time.

        Also sets what decides the last bits of every result on the CPU, as the run began: the number of threads, which
        is the order of summation, and which layers are computed by the functions in C.
        """
        self._started = time.perf_counter()
        checkpoint, problems = latest_checkpoint(self.folder.path, device, self.experiment.run_id)
        for problem in problems:
            warnings.warn(problem, stacklevel=2)
        if checkpoint is None:
            return None
        net.load_state_dict(checkpoint["net"])
        self.rounds, self.history = checkpoint["rounds"], checkpoint["history"]
        self.optimizer = checkpoint["last_optimizer"]
        self._seconds_before = checkpoint["seconds"]
        torch.set_num_threads(checkpoint["threads"])
        if checkpoint.get("compiled_layers") is not None:
            _use_layers(checkpoint["compiled_layers"])
        return RoundState(**checkpoint["round"])

    def begin(self, rounds: Sequence[Round], resumed: RoundState | None) -> None:
        """Tell the observer what is about to be trained, and which rounds earlier attempts have finished."""
        self.observer.run_started(
            RunStart(
                run_id=self.experiment.run_id,
                title=self.experiment.title,
                config=self.experiment.to_dict(),
                study=self.execution.study,
                rounds=len(rounds),
                steps_per_round=max(current.max_steps for current in rounds),
                first_step=self.total_step + (resumed.step if resumed else 0),
            )
        )
        for count in range(1, len(self.rounds) + 1):
            self.observer.round_ended(_round_end(self.rounds[:count], len(rounds)))

    def save(self, net: BlockNet, state: RoundState) -> None:
        """Write a checkpoint of the running round and then the curve up to that point, both in the background.

        Raises:
            LeaseLost: another process has taken the run over, so the previous checkpoint was not written.
            StoreError: the previous checkpoint could not be written.
        """
        content = snapshot(
            {
                "run_id": self.experiment.run_id,
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
        self.lease.update(round=len(self.rounds) + 1, step=state.step)

    def epoch_ended(self, event: EpochEnd) -> None:
        """Add a row to the curve."""
        row = {key: value for key, value in dataclasses.asdict(event).items() if key != "losses"}
        row["train_loss"] = sum(event.losses) / len(event.losses)
        self.history.append(row)

    def round_ended(
        self, ended: RoundResult, optimizer: dict[str, Any], rounds: int, measured: Mapping[str, float | None]
    ) -> None:
        """Add a round's row, with what was measured, and tell the observer; `rounds` is the run's number of rounds."""
        self.rounds.append({**dataclasses.asdict(ended), **measured})
        self.optimizer = optimizer if self.experiment.trainer.optimizer_between_rounds == "carry" else None
        self._writer.submit(partial(self.folder.write_curve, list(self.rounds), list(self.history)))
        self.observer.round_ended(_round_end(self.rounds, rounds))

    def finish(self, result: dict[str, Any]) -> dict[str, Any]:
        """Write `result.json`, which makes the run done, and release the lease; returns what was written.

        Raises:
            LeaseLost: another process has taken the run over.
            StoreError: the result, or something that the run wrote earlier, did not reach the disk.
        """
        self._writer.wait()
        self.result = self.folder.write_result(result)
        self.folder.tidy()
        self._end("done", self.result)
        return self.result

    def fail(self, error: BaseException) -> None:
        """Write the curve so far, set `interrupted` or `failed` in `status.json`, and release the lease.

        Raises:
            LeaseLost: another process has taken the run over; nothing is written.
            StoreError: an interrupted run's last checkpoint did not reach the disk, so the run has failed instead.
        """
        lost: ConfigError | None = None
        try:
            self._writer.wait()
            if self.rounds or self.history:
                self.folder.write_curve(self.rounds, self.history)
        except StoreError as problem:
            # The training's own error says more than the disk's; but an interrupted run must be one that can resume.
            lost = problem if isinstance(error, Interrupted) else None
        except LeaseLost as problem:
            lost = problem
        cause = lost or error
        state = "interrupted" if isinstance(cause, (Interrupted, KeyboardInterrupt)) else "failed"
        self.lease.update(error_kind=type(cause).__name__)
        self._end(state, {"error": str(cause), "kind": type(cause).__name__}, _last_lines(cause))
        if lost is not None:
            raise lost

    def _end(self, state: str, summary: Mapping[str, Any], error: str | None = None) -> None:
        # Before the lease is released: whoever takes the run over must find the observers' files closed.
        self.observer.run_ended(RunEnd(state=state, summary=summary, directory=str(self.folder.path)))
        self.lease.release(state, error)


@contextmanager
def recording(
    experiment: Experiment, execution: Execution, observer: Observer, interrupt: Interrupt
) -> Iterator[Record]:
    """Take a run, unless it is done (`Record.result`); an error that ends the block is recorded, and the run released.

    Raises:
        RunHeld: another process works on it.
        StoreError: the results folder cannot be written.
    """
    record = Record(experiment, execution, observer, interrupt)
    try:
        if record.result is None:
            record.folder.remove_leftovers()
            record.folder.write_config(experiment)
        yield record
    except BaseException as error:
        if record.result is None:
            record.fail(error)
        raise


def run_result(record: Record, net: BlockNet, task: Task, device: torch.device) -> dict[str, Any]:
    """The content of `result.json`: the last round's accuracies are the run's; `task` is the last round's."""
    last = record.rounds[-1]
    return {
        "run_id": record.experiment.run_id,
        "test_accuracy": last["test_accuracy"],
        "validation_accuracy": last["validation_accuracy"],
        "train_accuracy": last["train_accuracy"],
        **_under_label_noise(net, task, record.experiment.precision),
        "test_loss": last["test_loss"],
        **_by_stage(record.rounds),
        "rounds": len(record.rounds),
        "steps": record.total_step,
        "wall_seconds": record.seconds,
        "attempts": record.lease.attempt,
        "weights_sha256": _weights_sha256(net),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "compiled_layers": library.used(),
        "threads": torch.get_num_threads(),
        "study": record.execution.study,
        "trial": record.execution.trial,
        **({} if record.execution.sealed is None else {"sealed": record.execution.sealed}),
        **({} if task.content is None else {"content": task.content}),
        "versions": versions(),
        "git_commit": git_commit(),
        "config": record.experiment.to_dict(),
    }


def _by_stage(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of data that come in stages: how many, and the mean of the test accuracies that these ended with."""
    ends = {row["stage"]: row["test_accuracy"] for row in rounds if "stage" in row}
    return {"stages": len(ends), "mean_stage_accuracy": sum(ends.values()) / len(ends)} if ends else {}


def _under_label_noise(net: BlockNet, task: Task, precision: str) -> dict[str, float]:
    """Accuracy on the training split's true labels, where `train_accuracy` is that on the noisy ones."""
    if task.clean_labels is None:
        return {}
    clean = dataclasses.replace(task, train=dataclasses.replace(task.train, labels=task.clean_labels))
    return {"clean_train_accuracy": evaluate(net, clean, "train", precision).accuracy}


def _weights_sha256(net: BlockNet) -> str:
    """A hash of every value in the state dict, in order."""
    digest = hashlib.sha256()
    for name, value in net.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def warn_at_chance(ended: RoundResult, num_classes: int) -> None:
    """Warn of a round that ended because its validation error stood still, before it had learned anything."""
    if ended.converged and ended.train_accuracy < 2 / num_classes:
        warnings.warn(
            f"round {ended.index} ended near chance (training accuracy {ended.train_accuracy:.1%} of {num_classes} "
            "classes): its validation error never moved; raise trainer.patience_epochs or trainer.lr",
            stacklevel=2,
        )


def _round_end(rows: Sequence[Mapping[str, Any]], rounds: int) -> RoundEnd:
    """The event for the last of these rows of rounds."""
    last, names = rows[-1], {spec.name for spec in dataclasses.fields(RoundEnd)}
    values = {name: value for name, value in last.items() if name in names}
    return RoundEnd(round=last["index"], rounds=rounds, total_step=sum(row["steps"] for row in rows), **values)


def _last_lines(error: BaseException, count: int = 15) -> str:
    """The end of the traceback; of what the user can mend, such as a wrong setting, the message alone."""
    if isinstance(error, ConfigError):
        return str(error)
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(lines[-count:])


def _use_layers(compiled: list[str]) -> None:
    reason = available.obstacle() if compiled else None
    if reason is not None:
        warnings.warn(
            f"this run began with compiled layers ({', '.join(compiled)}), and goes on with torch's, which "
            f"are equal up to rounding: {reason}",
            stacklevel=2,
        )
        compiled = []
    library.use(compiled)
