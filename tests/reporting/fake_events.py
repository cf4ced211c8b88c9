"""Events of a small run to send to observers, and a clock that tests set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reinit_bench.training.observer import EpochEnd, RoundEnd, RunEnd, RunStart

RUN_ID = "0123456789abcdef"


class FakeClock:
    """Time that only passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def run_start(*, rounds: int = 4, steps_per_round: int = 120, first_step: int = 0, run_id: str = RUN_ID) -> RunStart:
    return RunStart(
        run_id=run_id,
        title="digits scnn lw seed 0",
        config={"model": {"name": "scnn", "width": 0.5}, "seed": 0},
        study="table2",
        rounds=rounds,
        steps_per_round=steps_per_round,
        first_step=first_step,
    )


def epoch_end(
    *,
    round_index: int = 1,
    epoch: int = 1,
    step: int = 3,
    total_step: int = 3,
    losses: Sequence[float] = (2.0, 1.0, 0.5),
) -> EpochEnd:
    return EpochEnd(
        round=round_index,
        epoch=epoch,
        step=step,
        total_step=total_step,
        lr=0.01,
        losses=losses,
        train_accuracy=0.91,
        validation_accuracy=0.902,
        validation_loss=0.3,
    )


def round_end(*, index: int = 2, block: int = 2, steps: int = 120, total_step: int = 240) -> RoundEnd:
    return RoundEnd(
        round=index,
        rounds=4,
        block=block,
        steps=steps,
        total_step=total_step,
        epochs=12,
        train_accuracy=0.991,
        validation_accuracy=0.95,
        test_accuracy=0.932,
        train_loss=0.04,
        seconds=8.06,
    )


def run_end(state: str = "done", **summary: Any) -> RunEnd:
    if state == "done":
        summary = {"test_accuracy": 0.932, "validation_accuracy": 0.95, "train_accuracy": 0.991, **summary}
    return RunEnd(state=state, summary=summary, directory=f"results/runs/{RUN_ID}")
