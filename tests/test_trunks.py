"""Shared rounds: a run that takes a round from another, or goes on from it, ends with the bits that it has alone."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from small import tiny

from reinit_bench.conf_dir import conf_dir
from reinit_bench.config import Execution, Experiment
from reinit_bench.experiment import run_experiment
from reinit_bench.sharing import Others, trunk_folder
from reinit_bench.training.interrupt import Interrupt, Interrupted
from reinit_bench.training.observer import EpochEnd, Observer, RoundEnd, RunStart

pytestmark = pytest.mark.timeout(900)

METHODS = sorted(path.stem for path in (conf_dir() / "method").glob("*.yaml"))
OWN = {"wall_seconds", "attempts", "seconds", "shared_from", "shared_steps", "shared_seconds"}
MANY = Others(first_round=9, same_settings=9, same_method=9)
CONDITIONS = ("augmentation=mild", "dropout=p25")
MID_EPOCH = (*CONDITIONS, "trainer.max_steps=6")
"""Four steps are an epoch: the limit ends the second one in its middle."""
CONVERGING = (*CONDITIONS, "trainer.max_steps=60", "trainer.patience_epochs=2", "trainer.plateau_epochs=1")


def run(experiment: Experiment, results: Path, others: Others = MANY, **more: Any) -> dict[str, Any]:
    return run_experiment(experiment, Execution(results_dir=results, diagnostics=False), others=others, **more)


def alone(experiment: Experiment, results: Path, **more: Any) -> dict[str, Any]:
    execution = Execution(results_dir=results, diagnostics=False, share_rounds=False)
    return run_experiment(experiment, execution, **more)


def contents(results: Path, experiment: Experiment) -> list[Any]:
    """What a finished run left, without times and without whose rounds they are."""
    folder = results / "runs" / experiment.run_id
    rows = [lines(folder / name) for name in ("rounds.jsonl", "history.jsonl")]
    return [steady([json.loads((folder / "result.json").read_text())]), *map(steady, rows)]


def steady(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in OWN} for row in rows]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def taken(results: Path, experiment: Experiment) -> list[int]:
    """By round, the steps that were not trained by this run."""
    rows = lines(results / "runs" / experiment.run_id / "rounds.jsonl")
    return [row.get("shared_steps", 0) for row in rows]


def files(results: Path) -> list[str]:
    return sorted(path.name.partition("-")[2] for path in results.glob("trunks/*/*.pt"))


def check(results: Path, experiments: Sequence[Experiment]) -> list[list[int]]:
    """Run them one after the other, sharing, and each alone: equal to the bit; what was taken, by run and round."""
    for number, experiment in enumerate(experiments):
        run(experiment, results / "shared")
        alone(experiment, results / f"alone{number}")
        assert contents(results / "shared", experiment) == contents(results / f"alone{number}", experiment)
        assert not list((results / f"alone{number}").glob("trunks/*"))
    return [taken(results / "shared", experiment) for experiment in experiments]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("settings", [MID_EPOCH, CONVERGING], ids=["limit in mid-epoch", "converged before the limit"])
def test_every_method_ends_bit_equal(tmp_path: Path, settings: tuple[str, ...]) -> None:
    """The baseline, the longest, comes last and goes on from the others' round."""
    order = sorted(METHODS, key=lambda name: (name == "bl", name))
    plain = dict(zip(order, check(tmp_path, [tiny(f"method={name}", *settings) for name in order]), strict=True))
    assert plain["lw"] == [0, 0, 0, 0], "it begins with another network than the rest"
    first = [steps[0] for name, steps in plain.items() if name != "lw"]
    assert first[0] == 0
    assert len(set(first[1:])) == 1
    assert first[1] == 6 if settings == MID_EPOCH else 8 <= first[1] < 60
    assert all(set(steps[1:]) <= {0} for steps in plain.values())


@pytest.mark.parametrize("method", ["fc", "lw"])
def test_larger_budgets_go_on_where_smaller_ones_ended(tmp_path: Path, method: str) -> None:
    budgets = [tiny(f"method={method}", "augmentation=mild", f"trainer.max_steps={steps}") for steps in (3, 4, 10)]
    assert [steps[0] for steps in check(tmp_path, budgets)] == [0, 3, 4]
    assert {f"{steps}.{kind}.pt" for steps in (3, 4, 10) for kind in ("ended", "limit")} == set(
        files(tmp_path / "shared")
    )


@pytest.mark.slow
@pytest.mark.long
def test_where_rounds_converge_all_of_them_serve_larger_budgets(tmp_path: Path) -> None:
    settings = ("method=lw", "trainer.patience_epochs=2", "trainer.lr=1e-5")
    budgets = [tiny(*settings, f"trainer.max_steps={steps}") for steps in (50, 60, 40)]
    small, large, smaller = check(tmp_path, budgets)
    assert small == [0, 0, 0, 0]
    assert all(large)
    assert large == smaller


def test_variants_share_what_is_truly_equal(tmp_path: Path) -> None:
    """Round 1 rescales by exactly 1 and freezes nothing; clearing lambdas changes nothing, blocks going upwards."""
    lw = ("method=lw", "augmentation=mild", "dropout=p25")
    names = ("rescale=false", "freeze=true", "normalize=false", "clear_lambdas_above=true", "clear_lambdas_above=false")
    found = check(tmp_path, [tiny(*lw, f"method.{name}") for name in names])
    assert found[:3] == [[0, 0, 0, 0], [8, 0, 0, 0], [0, 0, 0, 0]]
    # The second run of LW as it is comes to rounds that the first one trained once it saw that they share round 1.
    assert found[3:] == [[8, 0, 0, 0], [8, 8, 0, 0]]


def test_a_carried_optimizer_is_part_of_what_is_shared(tmp_path: Path) -> None:
    carry = ("trainer.optimizer_between_rounds=carry", "dropout=p25")
    names = ("method=fc", "method=wels", "method=dsd")
    assert check(tmp_path, [tiny(name, *carry) for name in names]) == [[0, 0, 0, 0], *[[8, 0, 0, 0]] * 2]
    fresh = tiny("method=fc", "dropout=p25")
    run(fresh, tmp_path / "shared")
    assert taken(tmp_path / "shared", fresh) == [0, 0, 0, 0]


def test_other_seeds_threads_and_conditions_take_nothing(tmp_path: Path) -> None:
    run(tiny("method=fc"), tmp_path)
    torch.set_num_threads(2)
    other_threads = tiny("method=wels")
    run(other_threads, tmp_path)
    torch.set_num_threads(1)
    others = [tiny("method=wels", change) for change in ("seed=1", "trainer.lr=0.02", "augmentation=mild")]
    for experiment in others:
        run(experiment, tmp_path)
    assert [taken(tmp_path, experiment)[0] for experiment in [other_threads, *others]] == [0] * 4


def test_without_others_nothing_is_written_and_what_is_there_is_still_taken(tmp_path: Path) -> None:
    run(tiny("method=fc"), tmp_path, Others())
    assert not (tmp_path / "trunks").exists()
    run(tiny("method=dsd"), tmp_path, Others(first_round=1))
    assert files(tmp_path) == ["8.ended.pt", "8.limit.pt"]
    run(tiny("method=wels"), tmp_path, Others())
    assert taken(tmp_path, tiny("method=wels")) == [8, 0, 0, 0]
    assert files(tmp_path) == ["8.ended.pt", "8.limit.pt"]


def test_the_result_says_what_was_not_trained_here(tmp_path: Path) -> None:
    run(tiny("method=fc"), tmp_path)
    result = run(tiny("method=bl"), tmp_path)
    row = lines(tmp_path / "runs" / result["run_id"] / "rounds.jsonl")[0]
    assert (row["shared_from"], row["shared_steps"], row["steps"]) == (tiny("method=fc").run_id, 8, 32)
    assert row["seconds"] < result["wall_seconds"]
    assert (result["steps"], result["shared_steps"]) == (32, 8)
    assert result["shared_seconds"] == row["shared_seconds"] > 0


class Heard(Observer):
    """Keeps the events and asks the run to stop after a step of a round."""

    def __init__(self, interrupt: Interrupt, stop: tuple[int, int] | None = None) -> None:
        self.interrupt, self.stop = interrupt, stop
        self.starts: list[RunStart] = []
        self.epochs: list[EpochEnd] = []
        self.rounds: list[RoundEnd] = []

    def run_started(self, event: RunStart) -> None:
        self.starts.append(event)

    def step_done(self, round_index: int, step: int) -> None:
        if (round_index, step) == self.stop:
            self.interrupt.request("test")

    def epoch_ended(self, event: EpochEnd) -> None:
        self.epochs.append(event)

    def round_ended(self, event: RoundEnd) -> None:
        self.rounds.append(event)


def test_observers_hear_of_shared_rounds_as_of_their_own(tmp_path: Path) -> None:
    experiment = tiny("method=bl", *MID_EPOCH)
    uncut, branched = Heard(Interrupt()), Heard(Interrupt())
    alone(experiment, tmp_path / "alone", observer=uncut)
    run(tiny("method=dsd", *MID_EPOCH), tmp_path)
    run(experiment, tmp_path, observer=branched)
    assert branched.epochs == uncut.epochs
    assert branched.rounds[0].shared_from == tiny("method=dsd", *MID_EPOCH).run_id
    assert [event.total_step for event in branched.rounds] == [24]


@pytest.mark.parametrize("cut", [(1, 9), (1, 7)])
def test_a_run_that_went_on_from_a_shared_state_is_cut_and_resumed(tmp_path: Path, cut: tuple[int, int]) -> None:
    """After the first checkpoint of its own, at step 9, it must not need the shared state again; before, it may."""
    experiment = tiny("method=bl", *MID_EPOCH)
    alone(experiment, tmp_path / "alone")
    run(tiny("method=dsd", *MID_EPOCH), tmp_path)
    interrupt = Interrupt()
    with pytest.raises(Interrupted):
        run(experiment, tmp_path, observer=Heard(interrupt, cut), interrupt=interrupt)
    shutil.rmtree(tmp_path / "trunks")
    run(experiment, tmp_path)
    assert contents(tmp_path, experiment) == contents(tmp_path / "alone", experiment)
    assert taken(tmp_path, experiment) == [6]


def test_a_branched_run_cut_in_round_2_is_resumed(tmp_path: Path) -> None:
    experiment = tiny("method=wels", *MID_EPOCH)
    alone(experiment, tmp_path / "alone")
    run(tiny("method=dsd", *MID_EPOCH), tmp_path)
    interrupt = Interrupt()
    with pytest.raises(Interrupted):
        run(experiment, tmp_path, observer=Heard(interrupt, (2, 2)), interrupt=interrupt)
    shutil.rmtree(tmp_path / "trunks")
    run(experiment, tmp_path)
    assert contents(tmp_path, experiment) == contents(tmp_path / "alone", experiment)
    assert taken(tmp_path, experiment) == [6, 0, 0, 0]


def test_a_resumed_round_is_shared_too(tmp_path: Path) -> None:
    leader, follower = (tiny(f"method={name}", *CONDITIONS) for name in ("fc", "bl"))
    interrupt = Interrupt()
    with pytest.raises(Interrupted):
        run(leader, tmp_path, observer=Heard(interrupt, (1, 6)), interrupt=interrupt)
    run(leader, tmp_path)
    run(follower, tmp_path)
    alone(follower, tmp_path / "alone")
    assert taken(tmp_path, follower) == [8]
    assert contents(tmp_path, follower) == contents(tmp_path / "alone", follower)


@pytest.mark.parametrize("harm", ["torn", "altered", "foreign", "empty"])
def test_a_file_that_is_no_good_is_passed_over(tmp_path: Path, harm: str) -> None:
    run(tiny("method=fc"), tmp_path)
    run(tiny("method=fc", "seed=1"), tmp_path)
    [path] = trunk_folder(tmp_path, tiny("method=fc")).glob("*.ended.pt")
    [foreign] = trunk_folder(tmp_path, tiny("method=fc", "seed=1")).glob("*.ended.pt")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(
        {"torn": content[: len(content) // 2], "altered": content, "foreign": foreign.read_bytes(), "empty": b""}[harm]
    )
    follower = tiny("method=wels")
    run(follower, tmp_path)
    alone(follower, tmp_path / "alone")
    assert taken(tmp_path, follower) == [0, 0, 0, 0]
    assert contents(tmp_path, follower) == contents(tmp_path / "alone", follower)


def test_a_folder_that_cannot_be_written_costs_no_run(tmp_path: Path) -> None:
    (tmp_path / "trunks").write_text("no folder")
    with pytest.warns(UserWarning, match="round 1 is not shared with other runs"):
        run(tiny("method=fc"), tmp_path)
    alone(tiny("method=fc"), tmp_path / "alone")
    assert contents(tmp_path, tiny("method=fc")) == contents(tmp_path / "alone", tiny("method=fc"))


def attempt(config: dict[str, Any], results: Path) -> None:
    """One attempt in a process of its own."""
    torch.set_num_threads(1)
    run(Experiment.from_dict(config), results)


def started(experiment: Experiment, results: Path) -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["reinit_bench.experiment", "reinit_bench.data.digits", "torch._dynamo"])
    process = context.Process(target=attempt, args=(experiment.to_dict(), results))
    process.start()
    return process


@pytest.mark.slow
@pytest.mark.long
def test_kill_9_in_the_middle_of_writing_a_trunk(tmp_path: Path) -> None:
    """The victim is killed as soon as the temporary file of a trunk is there; whether whole or not, all ends well."""
    leader, follower = (tiny(f"method={name}", *MID_EPOCH, "model.width=1") for name in ("fc", "wels"))
    folder = trunk_folder(tmp_path, leader)
    process = started(leader, tmp_path)
    while process.is_alive() and not any(folder.glob(".*.tmp")):
        pass
    process.kill()
    process.join()
    assert not (tmp_path / "runs" / leader.run_id / "result.json").exists()
    for experiment in (follower, leader):
        run(experiment, tmp_path)
        alone(experiment, tmp_path / "alone")
        assert contents(tmp_path, experiment) == contents(tmp_path / "alone", experiment)


@pytest.mark.slow
@pytest.mark.long
def test_two_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    experiments = [tiny(f"method={name}", *MID_EPOCH) for name in ("fc", "wels", "bl")]
    processes = [started(experiment, tmp_path) for experiment in experiments]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    for experiment in experiments:
        alone(experiment, tmp_path / "alone")
        assert contents(tmp_path, experiment) == contents(tmp_path / "alone", experiment)
