"""The order in which a sweep serves its runs so that they share rounds, what becomes of these, and what a plan says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from small import TINY
from sweeping import outcomes

from reinit_bench.sharing import Others, trunks_dir
from reinit_bench.store import Store
from reinit_bench.sweep.cost import Rates
from reinit_bench.sweep.plan import Plan, PlannedRun
from reinit_bench.sweep.pool import Pool
from reinit_bench.sweep.saving import saving_of
from reinit_bench.sweep.slurm.packing import _side_by_side
from reinit_bench.sweep.waiting import GroupInUse, Waiting, remove_leftovers

PlanOf = Callable[..., Plan]
NOTHING = Rates({}, {})


def name(run: PlannedRun) -> str:
    e = run.experiment
    return f"{e.method['name']} {e.trainer.max_steps} {e.seed}"


WaitingFor = Callable[[Plan], Waiting]


@pytest.fixture
def waiting_for() -> Iterator[WaitingFor]:
    with ExitStack() as closed:
        yield lambda plan: closed.enter_context(closing(Waiting([(run,) for run in plan.runs])))


def ends_first_round(waiting: Waiting, run: PlannedRun, results: Path, steps: int = 8) -> None:
    folder = trunks_dir(results) / run.experiment.group_id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "x-8.ended.pt").touch()
    waiting.heard(run, "round", {"round": 1, "steps": steps})


def test_followers_come_once_the_first_round_is_there_and_until_then_other_groups(
    plan_of: PlanOf, waiting_for: WaitingFor, tmp_path: Path
) -> None:
    plan = plan_of(*TINY, "method=bl,wels,lw,fc", "seed=0,1", f"results_dir={tmp_path}")
    waiting = waiting_for(plan)
    served = [waiting.take() for _ in range(5)]
    # The baseline, ten times as long, leads nobody; who has no relation at work goes first.
    assert [name(pack[0]) for pack, _ in served] == ["wels 8 0", "wels 8 1", "lw 8 0", "lw 8 1", "bl 8 0"]
    assert served[0][1] == Others(first_round=2)  # bl and fc; lw begins with another network
    assert served[2][1] == Others()
    ends_first_round(waiting, served[1][0][0], tmp_path)
    assert name(waiting.take()[0][0]) == "fc 8 1"


def test_a_round_that_converged_serves_the_longer_ones_at_once(
    plan_of: PlanOf, waiting_for: WaitingFor, tmp_path: Path
) -> None:
    plan = plan_of(*TINY, "method=fc,bl", "seed=0,1", f"results_dir={tmp_path}")
    for steps, second in ((8, "fc 8 1"), (5, "bl 8 0")):
        waiting = waiting_for(plan)
        leader = waiting.take()[0][0]
        ends_first_round(waiting, leader, tmp_path, steps)
        assert name(waiting.take()[0][0]) == second


def test_the_smallest_budget_leads_and_the_next_one_goes_on(
    plan_of: PlanOf, waiting_for: WaitingFor, tmp_path: Path
) -> None:
    plan = plan_of(*TINY, "method=lw", "trainer.max_steps=12,8,4", "dataset=digits", f"results_dir={tmp_path}")
    waiting = waiting_for(plan)
    pack, others = waiting.take()
    assert name(pack[0]) == "lw 4 0"
    assert others == Others(first_round=2, same_settings=2)
    ends_first_round(waiting, pack[0], tmp_path, steps=4)
    assert name(waiting.take()[0][0]) == "lw 8 0"


def test_without_sharing_the_order_stays(plan_of: PlanOf, waiting_for: WaitingFor, tmp_path: Path) -> None:
    plan = plan_of(*TINY, "method=bl,wels,fc", "share_rounds=false", f"results_dir={tmp_path}")
    waiting = waiting_for(plan)
    assert [waiting.take() for _ in plan.runs] == [((run,), Others()) for run in plan.runs]
    assert not trunks_dir(tmp_path).exists()


def test_shared_rounds_go_with_the_last_run_of_their_group(
    plan_of: PlanOf, waiting_for: WaitingFor, tmp_path: Path
) -> None:
    plan = plan_of(*TINY, "method=wels,fc", "seed=0,1", f"results_dir={tmp_path}")
    waiting = waiting_for(plan)
    runs = [waiting.take()[0][0] for _ in plan.runs]
    by_seed = {seed: [run for run in runs if run.experiment.seed == seed] for seed in (0, 1)}
    waiting.ended(by_seed[0][0])
    assert len(list(trunks_dir(tmp_path).iterdir())) == 2
    other = GroupInUse(trunks_dir(tmp_path) / by_seed[1][0].experiment.group_id)
    for run in [by_seed[0][1], *by_seed[1]]:
        waiting.ended(run)
    assert [path.name for path in trunks_dir(tmp_path).iterdir()] == [other.folder.name], "another sweep still uses it"
    other.end()
    assert not trunks_dir(tmp_path).exists()


def test_leftovers_of_a_killed_sweep_go_with_the_next_one_that_does_not_want_them(tmp_path: Path) -> None:
    for group in ("wanted", "left", "used"):
        (trunks_dir(tmp_path) / group).mkdir(parents=True)
        (trunks_dir(tmp_path) / group / ".x.tmp").touch()
    used = GroupInUse(trunks_dir(tmp_path) / "used")
    remove_leftovers(tmp_path, {"wanted"})
    assert sorted(path.name for path in trunks_dir(tmp_path).iterdir()) == ["used", "wanted"]
    used.end()
    remove_leftovers(tmp_path / "no sweep was here", set())


def test_a_slurm_pack_has_relations_side_by_side_the_longest_last(plan_of: PlanOf) -> None:
    plan = plan_of(*TINY, "seed=0,1", "method=bl,lw,wels,fc")
    ordered = [name(run) for run, _ in _side_by_side([(run, 1.0) for run in plan.runs])]
    assert ordered == [f"{method} 8 {seed}" for seed in (0, 1) for method in ("wels", "fc", "bl", "lw")]


def shared_steps(results: Path) -> list[int]:
    """The first round's steps that were not trained by the run itself, by run."""
    found = []
    for run_id in Store(results).run_ids():
        rows = [json.loads(line) for line in (results / "runs" / run_id / "rounds.jsonl").read_text().splitlines()]
        assert not any("shared_steps" in row for row in rows[1:])
        found.append(rows[0].get("shared_steps", 0))
    return sorted(found)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_plan_counts_what_a_sweep_then_shares(plan_of: PlanOf, tmp_path: Path) -> None:
    """Two budgets of three methods: 8 and 32 steps, the baseline's four times that, and LW on its own."""
    sweep = (*TINY, "method=bl,wels,fc,lw", "trainer.max_steps=8,24", "augmentation=mild", "device=cpu", "logger=none")
    shared, alone = ((*sweep, f"results_dir={tmp_path / where}") for where in ("shared", "alone"))
    plan = plan_of(*shared)
    saving = saving_of(plan.runs, NOTHING)
    events: list[Any] = []
    outcome = Pool(1, 1).run(plan.runs, lambda run, kind, values: events.append((kind, values)))
    assert outcome.count("done") == 8, outcome.causes
    # wels 8, fc 8 whole; wels 24 goes on from 8, fc 24 whole; bl's 32 from 24, its 96 from 32; lw's 24 from 8.
    assert shared_steps(tmp_path / "shared") == [0, 0, 8, 8, 8, 24, 24, 32]
    assert (saving.rounds, saving.begun) == (2, 4)
    assert not trunks_dir(tmp_path / "shared").exists()
    told = [values["shared_from"] for kind, values in events if kind == "round" and values["shared_from"]]
    assert len(told) == 6
    Pool(1, 1).run(plan_of(*alone, "share_rounds=false").runs, lambda run, kind, values: None)
    assert outcomes(Store(tmp_path / "shared")) == outcomes(Store(tmp_path / "alone"))
    assert saving_of(plan_of(*shared, "share_rounds=false").runs, NOTHING).rounds == 0
