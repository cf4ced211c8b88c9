"""Seeds trained side by side end exactly as they would alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import METHOD_FILES, make_config
from run_files import read_jsonl, without_times

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.settings import ConfigError
from reinit_bench.run.experiment import run_experiment
from reinit_bench.run.seeds import TrainsAlone, run_seeds
from reinit_bench.store.lease import Lease, RunHeld
from reinit_bench.store.store import RunFolder
from reinit_bench.training.interrupt import Interrupt, Interrupted
from reinit_bench.training.loop import Diverged

SMALL = ("dataset=synthetic", "dataset.test_examples=100", "trainer.max_steps=12")


def experiments(*overrides: str, seeds: int = 3) -> list[Experiment]:
    return [Experiment.from_dict(make_config(*SMALL, *overrides, f"seed={seed}")) for seed in range(seeds)]


class Endings:
    """Collects how each run ended, by seed."""

    def __init__(self) -> None:
        self.by_seed: dict[int, Any] = {}

    def __call__(self, experiment: Experiment, what: Any) -> None:
        assert experiment.seed not in self.by_seed
        self.by_seed[experiment.seed] = what


CASES = [
    *((f"method={name}", "method.repeats=2") for name, file in METHOD_FILES.items() if not file.get("_hooks_")),
    ("method=lw", "method.lambda_on_head=true", "trainer.weight_decay=0.01"),
    ("method=lw", "method.freeze=true", "trainer.momentum=0.9", "trainer.weight_decay=0.01"),
    ("method=lw", "trainer.weight_decay=0.1", "trainer.weight_decay_form=sgd", "dataset.train_examples=100"),
    *(
        ("method=lw", f"trainer.optimizer={name}", f"trainer.optimizer_between_rounds={between}", *decayed)
        for name in ("adam", "adamw", "rmsprop")
        for between, *decayed in (
            ("fresh", "trainer.weight_decay=0.1", "trainer.lr=0.01"),
            ("carry", "trainer.weight_decay=0.1", "trainer.lr=0.01", "model.hidden=[32,32,32]"),
        )
    ),
    ("method=lw", "trainer.optimizer_between_rounds=carry", "trainer.momentum=0.9", "method.repeats=2"),
]


@pytest.mark.parametrize("overrides", CASES, ids=" ".join)
def test_seeds_trained_together_leave_what_single_runs_leave(overrides: tuple[str, ...], tmp_path: Path) -> None:
    chosen = experiments("trainer.max_steps=6", *overrides, seeds=2)
    together, alone = tmp_path / "together", tmp_path / "alone"
    endings = Endings()
    run_seeds(chosen, Execution(results_dir=together, study="table1"), endings)
    for experiment in chosen:
        expected = run_experiment(experiment, Execution(results_dir=alone, study="table1"))
        ours, theirs = (folder / "runs" / experiment.run_id for folder in (together, alone))
        result = json.loads((ours / "result.json").read_text())
        assert list(result) == list(expected)
        assert without_times(result) == without_times(json.loads(json.dumps(expected)))
        assert result["attempts"] == expected["attempts"] == 1
        assert (result["side_by_side"], expected["side_by_side"]) == (2, 1)
        assert without_times(read_jsonl(ours / "rounds.jsonl")) == without_times(read_jsonl(theirs / "rounds.jsonl"))
        last_of_rounds = {row["round"]: row for row in read_jsonl(theirs / "history.jsonl")}
        assert read_jsonl(ours / "history.jsonl") == list(last_of_rounds.values())
        assert (ours / "config.yaml").read_bytes() == (theirs / "config.yaml").read_bytes()
        assert {path.name for path in ours.iterdir()} == {path.name for path in theirs.iterdir()}
        measured = [RunFolder(folder).diagnostics() or {} for folder in (ours, theirs)]
        assert len(measured[0]) > 1
        assert all(np.array_equal(value, measured[1][name]) for name, value in measured[0].items())
        assert json.loads((ours / "status.json").read_text())["state"] == "done"
        assert endings.by_seed[experiment.seed]["weights_sha256"] == expected["weights_sha256"]


def test_methods_that_act_while_a_round_trains_are_refused_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(TrainsAlone, match=r"^method hare acts while a round trains; its seeds train alone$"):
        run_seeds(experiments("method=hare"), Execution(results_dir=tmp_path), Endings())
    assert list(tmp_path.iterdir()) == []


def test_a_carried_optimizer_and_frozen_parameters_are_refused_as_in_a_single_run(tmp_path: Path) -> None:
    chosen = experiments("method=lw", "method.freeze=true", "trainer.optimizer_between_rounds=carry", seeds=2)
    endings = Endings()
    run_seeds(chosen, Execution(results_dir=tmp_path / "together"), endings)
    with pytest.raises(ConfigError) as alone:
        run_experiment(chosen[0], Execution(results_dir=tmp_path / "alone"))
    assert [str(endings.by_seed[seed]) for seed in range(2)] == [str(alone.value)] * 2
    assert str(alone.value).startswith("trainer.optimizer_between_rounds=carry cannot be used with a method that")


def test_one_thread_trains_them_whatever_the_worker_has(tmp_path: Path) -> None:
    seen, before = [], torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        run_seeds(
            experiments("method=bl", seeds=1),
            Execution(results_dir=tmp_path),
            Endings(),
            round_begins=lambda index, rounds: seen.append(torch.get_num_threads()),
        )
        assert (seen, torch.get_num_threads()) == ([1], 3)
    finally:
        torch.set_num_threads(before)


def test_finished_runs_are_not_run_again_and_held_ones_are_skipped(tmp_path: Path) -> None:
    chosen, execution = experiments("method=lw"), Execution(results_dir=tmp_path)
    finished = run_experiment(chosen[0], execution)
    folder = tmp_path / "runs" / chosen[1].run_id
    folder.mkdir()
    lease = Lease(RunFolder(folder))
    lease.acquire()
    endings = Endings()
    run_seeds(chosen, execution, endings)
    lease.release("interrupted")
    assert endings.by_seed[0]["wall_seconds"] == finished["wall_seconds"]
    assert isinstance(endings.by_seed[1], RunHeld)
    assert not (folder / "result.json").exists()
    assert endings.by_seed[2]["steps"] == 36


def test_a_run_that_diverges_does_not_affect_the_others(tmp_path: Path) -> None:
    # At this rate some seeds overflow, some networks die and some live; single runs tell which.
    chosen = experiments("method=lw", "trainer.lr=4", seeds=8)
    endings = Endings()
    run_seeds(chosen, Execution(results_dir=tmp_path / "together"), endings)
    kinds: set[type] = set()
    for experiment in chosen:
        what = endings.by_seed[experiment.seed]
        status = json.loads((tmp_path / "together" / "runs" / experiment.run_id / "status.json").read_text())
        alone: dict[str, Any] | Exception
        try:
            alone = run_experiment(experiment, Execution(results_dir=tmp_path / "alone"))
        except (Diverged, ValueError) as error:
            alone = error
        kinds.add(type(alone))
        if isinstance(alone, Exception):
            assert (type(what), str(what)) == (type(alone), str(alone))
            assert (status["state"], status["error_kind"]) == ("failed", type(alone).__name__)
        else:
            assert what["weights_sha256"] == alone["weights_sha256"]
            assert status["state"] == "done"
    assert kinds == {Diverged, ValueError, dict}


def test_interrupted_seeds_start_again_from_the_beginning(tmp_path: Path) -> None:
    chosen, execution = experiments("method=lw"), Execution(results_dir=tmp_path / "stopped")
    interrupt, endings = Interrupt(), Endings()

    def stop(index: int, rounds: int) -> None:
        assert rounds == 3
        if index == 2:
            interrupt.request("SIGTERM")

    with pytest.raises(Interrupted):
        run_seeds(chosen, execution, endings, round_begins=stop, interrupt=interrupt)
    assert all(isinstance(endings.by_seed[seed], Interrupted) for seed in range(3))
    for experiment in chosen:
        status = json.loads((tmp_path / "stopped" / "runs" / experiment.run_id / "status.json").read_text())
        assert status["state"] == "interrupted"
    again, uncut = Endings(), Endings()
    run_seeds(chosen, execution, again)
    run_seeds(chosen, Execution(results_dir=tmp_path / "uncut"), uncut)
    for seed in range(3):
        assert again.by_seed[seed]["attempts"] == 2
        assert again.by_seed[seed]["weights_sha256"] == uncut.by_seed[seed]["weights_sha256"]
