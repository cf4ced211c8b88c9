"""Which runs share a worker, and that a pool serves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from factories import write_result

from reinit_bench.analysis.runs.collect import collect
from reinit_bench.analysis.synthetic.signal_table import signal_table
from reinit_bench.sweep.jobs import jobs_of
from reinit_bench.sweep.plan import Plan
from reinit_bench.sweep.pool import Pool

SMALL = ("dataset=synthetic", "logger=none", "dataset.test_examples=50", "trainer.max_steps=2")


def test_seeds_of_one_experiment_share_jobs_of_even_size(plan_of: Callable[..., Plan]) -> None:
    runs = plan_of(*SMALL, "method=bl,lw", f"seed={','.join(map(str, range(30)))}").runs
    packs = jobs_of(runs)
    assert [len(pack) for pack in packs] == [15, 15, 15, 15]
    assert [{run.experiment.method["name"] for run in pack} for pack in packs] == [{"bl"}, {"bl"}, {"lw"}, {"lw"}]
    assert sorted(run.run_id for pack in packs for run in pack) == sorted(run.run_id for run in runs)
    assert [len(pack) for pack in jobs_of(runs, gpu=True)] == [1] * 60


def test_runs_that_the_batched_training_does_not_cover_stay_alone(plan_of: Callable[..., Plan]) -> None:
    for override in (
        "trainer.batch_size=255",
        "precision=bf16",
        "dropout=p25",
        "trainer.validation_fraction=0.1",
        "trainer.optimizer_between_rounds=carry",
        "device=cuda",
        "logger=wandb",
    ):
        runs = plan_of(*SMALL, override, "seed=0,1").runs
        assert [len(pack) for pack in jobs_of(runs)] == [1, 1], override
    assert [len(pack) for pack in jobs_of(plan_of("dataset=digits", "logger=none", "seed=0,1").runs)] == [1, 1]


def test_a_pool_ends_every_run_of_a_pack(plan_of: Callable[..., Plan], tmp_path: Path) -> None:
    sweep = (*SMALL, "method=lw", "seed=0,1,2", f"results_dir={tmp_path}", "device=cpu")
    plan, heard = plan_of(*sweep), []
    outcome = Pool(1, 1).run(plan.runs, lambda run, kind, values: heard.append((run.run_id, kind, values.get("seeds"))))
    ids = [run.run_id for run in plan.runs]
    assert [run.run_id for run in outcome.ended["done"]] == ids
    assert [event[:2] for event in heard if event[1] == "seeds"] == [(ids[0], "seeds")] * 3
    assert [len(event[2]) for event in heard if event[1] == "done"] == [0, 0, 3]
    assert plan_of(*sweep).counts["done"] == 3


def test_table_1_takes_every_run_of_its_study_and_no_other_reading(
    plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    study = [run.experiment for run in plan_of("study=table1", "seed=0").runs]
    others = [run.experiment for run in plan_of("study=readings", "seed=0").runs]
    assert (len(study), len(others)) == (18, 75)
    for experiment in {other.run_id: other for other in [*study, *others]}.values():
        write_result(tmp_path, experiment, test_accuracy=0.5)
    table = signal_table(collect(tmp_path))
    assert table.data["n"].tolist() == [1] * 18
    assert table.data["mean"].tolist() == [50.0] * 18
