"""Which runs are one job, and that a worker of the pool ends them all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reinit_bench.sweep import local
from reinit_bench.sweep.jobs import execution_of, jobs_of
from reinit_bench.sweep.plan import Plan
from reinit_bench.sweep.pool import Pool

SMALL = ("dataset=synthetic", "logger=none", "dataset.test_examples=50", "trainer.max_steps=2")


def test_seeds_of_one_experiment_are_jobs_of_even_size(plan_of: Callable[..., Plan]) -> None:
    runs = plan_of(*SMALL, "method=bl,lw", f"seed={','.join(map(str, range(30)))}").runs
    jobs = jobs_of(runs)
    assert [len(job) for job in jobs] == [15, 15, 15, 15]
    assert [{run.experiment.method["name"] for run in job} for job in jobs] == [{"bl"}, {"bl"}, {"lw"}, {"lw"}]
    assert sorted(run.run_id for job in jobs for run in job) == sorted(run.run_id for run in runs)


def test_runs_that_cannot_train_side_by_side_are_jobs_by_themselves(plan_of: Callable[..., Plan]) -> None:
    for override in (
        "trainer.batch_size=255",
        "precision=bf16",
        "dropout=p25",
        "trainer.validation_fraction=0.1",
        "trainer.optimizer=sam",
        "device=cuda",
        "logger=wandb",
    ):
        runs = plan_of(*SMALL, override, "seed=0,1").runs
        assert [len(job) for job in jobs_of(runs)] == [1, 1], override
    assert [len(job) for job in jobs_of(plan_of("dataset=digits", "logger=none", "seed=0,1").runs)] == [1, 1]


def test_what_trains_side_by_side_uses_the_cpu_and_needs_no_gpu(
    plan_of: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "visible_gpus", lambda: ["0"])
    monkeypatch.setattr(local, "cores", lambda: 6)
    small, images = plan_of(*SMALL, "seed=0,1").runs, plan_of("dataset=digits", "logger=none").runs
    assert [execution_of(run).device for run in (*small, *images)] == ["cpu", "cpu", "auto"]
    assert local.processes(small) == (6, [])
    assert local.processes(images) == (1, ["0"])
    assert local.processes([*small, *images]) == (1, ["0"])
    assert local.processes(plan_of(*SMALL, "device=cuda").runs, workers=3) == (3, ["0"])


@pytest.mark.slow
def test_a_pool_ends_every_run_of_a_job(plan_of: Callable[..., Plan], tmp_path: Path) -> None:
    sweep = (*SMALL, "method=lw", "seed=0,1,2", f"results_dir={tmp_path}", "device=cpu")
    plan, heard = plan_of(*sweep), []
    outcome = Pool(1, 1).run(plan.runs, lambda run, kind, values: heard.append((run.run_id, kind, values.get("seeds"))))
    ids = [run.run_id for run in plan.runs]
    assert [run.run_id for run in outcome.ended["done"]] == ids
    assert [event[:2] for event in heard if event[1] == "seeds"] == [(ids[0], "seeds")] * 3
    assert [len(event[2]) for event in heard if event[1] == "done"] == [0, 0, 3]
    assert plan_of(*sweep).counts["done"] == 3
