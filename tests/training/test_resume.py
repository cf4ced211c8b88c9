"""A round resumed from any of its checkpoints ends bit-equal to one that was never interrupted."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bits import bit_equal, copy_state
from training_helpers import TRAINER, RecordingObserver, mlp, train, vector_task

from reinit_bench.training.checkpoint import read_checkpoint, save_checkpoint
from reinit_bench.training.round import RoundState

EVERY_STEP = replace(TRAINER, checkpoint_every=1, plateau_epochs=1, patience_epochs=3, lr=0.2)
COSINE = {"schedule": "cosine", "warmup_steps": 3}
OPTIMIZERS = ("adam", "adamw", "rmsprop", "sam", "muon")
STEPS = 27
DROPOUT = 0.25


def through_a_file(state: RoundState, folder: Path) -> RoundState:
    save_checkpoint(folder, vars(state))
    return RoundState(**read_checkpoint(folder / "checkpoint.pt", torch.device("cpu")))


@pytest.mark.parametrize(
    ("changes", "carry"),
    [
        ({}, False),
        ({"round_weights": "last"}, True),
        *(({"optimizer": name, "lr": 0.01, **COSINE}, carry) for name in OPTIMIZERS for carry in (False, True)),
    ],
)
def test_resuming_at_any_step_ends_bit_equal(tmp_path: Path, changes: dict[str, Any], carry: bool) -> None:
    trainer, task = replace(EVERY_STEP, **changes), vector_task()
    carried = train(mlp(DROPOUT), task, trainer, steps=4)[1] if carry else None
    net = mlp(DROPOUT)
    uncut = RecordingObserver(net)
    expected = train(net, task, trainer, steps=STEPS, index=2, carried=copy.deepcopy(carried), observer=uncut)
    # The curve must have something to lose: several epochs, a lowered rate, best weights that are not the last.
    assert expected[0].epochs >= 4
    assert expected[0].lr < uncut.epochs[0].lr
    assert changes or not bit_equal(uncut.saves[-1][1].best, uncut.saves[-1][0])
    assert [state.step for _, state in uncut.saves] == list(range(expected[0].steps))
    for saved, state in uncut.saves:
        again = mlp(DROPOUT)
        again.load_state_dict(saved)
        observer = RecordingObserver(again)
        resumed = through_a_file(state, tmp_path)
        ended = train(again, task, trainer, steps=STEPS, index=2, resume=resumed, carried=carried, observer=observer)
        assert ended[0] == expected[0], f"cut at step {state.step}"
        assert bit_equal(ended[1], expected[1]), f"cut at step {state.step}"
        assert bit_equal(copy_state(again), copy_state(net)), f"cut at step {state.step}"
        assert observer.epochs == uncut.epochs[state.epoch - 1 :], f"cut at step {state.step}"
        # What a checkpoint holds already is not written again.
        assert states(observer.saves) == states(uncut.saves[state.step + 1 :])


def states(saves: Sequence[tuple[dict[str, torch.Tensor], RoundState]]) -> list[tuple[Any, ...]]:
    """Of each checkpoint what is plain and the same in every run: all but the tensors and the time."""
    return [(s.step, s.epoch, s.lr, s.losses, s.correct, s.seen, s.stopping, s.validation) for _, s in saves]


def test_time_before_an_interruption_counts() -> None:
    net = mlp()
    observer = RecordingObserver(net)
    train(net, vector_task(), EVERY_STEP, steps=6, observer=observer)
    _, state = copy.deepcopy(observer.saves[3])
    state.seconds = 1000.0
    later = RecordingObserver(net)
    train(net, vector_task(), EVERY_STEP, steps=6, resume=state, observer=later)
    assert 1000.0 < later.saves[-1][1].seconds < 1100.0
