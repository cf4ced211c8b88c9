"""How many rounds each method has, on which blocks, with how many steps (Section 3, Algorithm 1); bad values."""

from __future__ import annotations

import re
from typing import Any

import pytest

from reinit_bench.core.rounds import Round
from reinit_bench.core.settings import ConfigError
from reinit_bench.methods.bl import Baseline
from reinit_bench.methods.dsd import Dsd
from reinit_bench.methods.kels import Kels
from reinit_bench.methods.lw import Lw
from reinit_bench.methods.redo import Redo
from reinit_bench.methods.wels import Wels

MAX_STEPS = 100


def sequence(rounds: tuple[Round, ...]) -> list[tuple[int, int, int]]:
    """(round, k, n) of each round."""
    assert {round_.max_steps for round_ in rounds} == {MAX_STEPS}
    return [(round_.index, round_.block, round_.repeat) for round_ in rounds]


@pytest.mark.parametrize(("blocks", "repeats", "steps"), [(4, 1, 400), (13, 1, 1300), (3, 3, 900)])
def test_the_baseline_has_one_round_with_everyones_steps(blocks: int, repeats: int, steps: int) -> None:
    rounds = Baseline().rounds(blocks, repeats, MAX_STEPS)
    assert rounds == (Round(index=1, block=0, repeat=1, max_steps=steps),)


def test_lw_repeats_each_block_before_the_next() -> None:
    assert sequence(Lw().rounds(4, 1, MAX_STEPS)) == [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 4, 1)]
    # Section 1.1: N = 3 times in the first layer before k is incremented; 9 rounds of 200 steps are its 1,800.
    rounds = Lw().rounds(3, 3, 200)
    assert [(r.block, r.repeat) for r in rounds] == [(k, n) for k in (1, 2, 3) for n in (1, 2, 3)]
    assert sum(round_.max_steps for round_ in rounds) == 1800


def test_a_plain_first_round_is_additional_and_works_on_no_block() -> None:
    assert sequence(Lw(first_round="plain").rounds(2, 2, MAX_STEPS)) == [
        (1, 0, 1),
        (2, 1, 1),
        (3, 1, 2),
        (4, 2, 1),
        (5, 2, 2),
    ]


def test_a_schedule_replaces_blocks_and_repeats() -> None:
    method = Lw(schedule=[1, 1, 2, 2, 2])
    assert sequence(method.rounds(3, 1, MAX_STEPS)) == [(1, 1, 1), (2, 1, 2), (3, 2, 1), (4, 2, 2), (5, 2, 3)]
    assert method.rounds(3, 7, MAX_STEPS) == method.rounds(3, 1, MAX_STEPS)
    both = Lw(schedule=[2, 1, 2], first_round="plain").rounds(2, 1, MAX_STEPS)
    assert sequence(both) == [(1, 0, 1), (2, 2, 1), (3, 1, 1), (4, 2, 2)]


def test_a_schedule_beyond_the_model_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^method\.schedule names block 5, but the model has 4$"):
        Lw(schedule=[1, 5]).rounds(4, 1, MAX_STEPS)


SCHEDULE = "method.schedule must be a list of block numbers, or null; got "
BLOCKS = "method.schedule must hold block numbers from 1; got "


@pytest.mark.parametrize(
    ("kind", "setting", "message"),
    [
        (Baseline, {"repeats": 0}, "method.repeats must be a whole number of at least 1; got 0"),
        (Wels, {"fraction": 0}, "method.fraction must be a number above 0 and at most 1; got 0"),
        (Dsd, {"selection": "bernoulli"}, "method.selection must be one of tensor, network; got 'bernoulli'"),
        (Redo, {"every": "epoch"}, "method.every must be a whole number of at least 1 or round; got 'epoch'"),
        (Kels, {"keep": 1}, "method.keep must be a number above 0 and below 1; got 1"),
        (Lw, {"schedule": []}, SCHEDULE + "[]"),
        (Lw, {"schedule": "12"}, SCHEDULE + "'12'"),
        (Lw, {"schedule": [1, 0]}, BLOCKS + "[1, 0]"),
        (Lw, {"schedule": [True, 2]}, BLOCKS + "[True, 2]"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(kind: type, setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        kind(**setting)
