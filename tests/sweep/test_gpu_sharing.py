"""Several workers on one GPU: how many, and what each may use. No GPU is used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from reinit_bench.core.machine import share_gpu
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.source import Examples
from reinit_bench.data.task import RESIDENT_SHARE, fit_on
from reinit_bench.sweep import local
from reinit_bench.sweep.plan import Plan
from reinit_bench.sweep.pool import Pool
from reinit_bench.sweep.slurm import array_task
from reinit_bench.sweep.slurm.array_task import TaskRunner
from reinit_bench.sweep.slurm.batch import Batch
from reinit_bench.sweep.slurm.options import Options, Workers
from reinit_bench.sweep.slurm.submit import plan_tasks
from reinit_bench.training.interrupt import Interrupt
from reinit_bench.training.step import OutOfMemory, memory_explained


@pytest.fixture
def _alone_again() -> Iterator[None]:
    """This process's GPU is its own again."""
    yield
    share_gpu(1)


@pytest.mark.parametrize("given", [0, "auto"])
def test_a_wrong_field_is_one_line(given: object) -> None:
    line = f"hydra.launcher.workers_per_gpu must be a whole number of at least 1 (or null); got {given!r}"
    for check in (
        lambda: Workers(workers_per_gpu=given),
        lambda: Options.from_fields({"workers_per_gpu": given}),
    ):
        with pytest.raises(ConfigError) as caught:
            check()
        assert str(caught.value) == line


def test_workers_and_workers_per_gpu_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="each GPU has: give one of them"):
        Options.from_fields({"workers": 4, "workers_per_gpu": 2})
    with pytest.raises(ConfigError, match="each GPU has: give one of them"):
        Workers(workers=4, workers_per_gpu=2)


def test_the_local_launcher_counts_workers_by_gpu(
    plan_of: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = plan_of("dataset=digits", "logger=none").runs
    three = Workers(workers_per_gpu=3)
    monkeypatch.setattr(local, "cores", lambda: 12)
    monkeypatch.setattr(local, "visible_gpus", lambda: ["0", "1"])
    assert local.processes(runs, Workers()) == (2, ["0", "1"])
    assert local.processes(runs, three) == (6, ["0", "1"])
    assert local.processes(plan_of("dataset=digits", "logger=none", "device=cpu").runs, three) == (12, [])
    monkeypatch.setattr(local, "visible_gpus", list)
    assert local.processes(runs, three) == (12, [])


# --- what each may use ---


@pytest.mark.usefixtures("_alone_again")
def test_workers_divide_what_data_may_take_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = Examples(np.zeros((10, 2, 2, 3), np.uint8), np.zeros(10, np.int64))
    free = int(4 * 120 / RESIDENT_SHARE) + 1
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, free))
    for workers, resident in ((1, True), (4, True), (5, False)):
        share_gpu(workers)
        assert fit_on(torch.device("cuda"), (examples,)) == resident


@pytest.mark.usefixtures("_alone_again")
def test_too_little_memory_is_also_blamed_on_the_other_workers() -> None:
    for workers in (1, 2):
        share_gpu(workers)
        with pytest.raises(OutOfMemory) as caught, memory_explained(torch.device("cpu"), (3, 8, 8), "bf16", 1):
            raise MemoryError
        assert ("or fewer hydra.launcher.workers_per_gpu" in str(caught.value)) == (workers == 2)


def test_a_pool_counts_the_workers_of_a_gpu_by_the_runs_that_there_are(
    plan_of: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str | None, int]] = []
    monkeypatch.setattr(Pool, "_start", lambda self, gpu: started.append((gpu, self.gpu_workers)))
    runs = plan_of("dataset=digits", "logger=none", "method=bl,lw,fc,wels,dsd").runs
    for gpus, expected in ((["0", "1"], [("0", 3), ("1", 3)] * 2 + [("0", 3)]), ([], [(None, 1)] * 5)):
        Pool(8, 1, gpus).run(runs, lambda run, kind, values: None)
        assert started == expected
        started.clear()


@pytest.mark.slow
def test_a_worker_knows_its_gpu_and_how_many_share_it() -> None:
    code = """
import os
from multiprocessing import Pipe
from reinit_bench.core.machine import gpu_workers
from reinit_bench.sweep.worker import work
ours, theirs = Pipe()
ours.send(None)
work(theirs, 1, "3", 4)
print(os.environ["CUDA_VISIBLE_DEVICES"], gpu_workers())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "4"]


# --- on SLURM ---


def tasks_of(plan: Plan, **fields: object) -> list[tuple[int, int]]:
    """Of each task: how many runs it has, of 100 s each, and how many share its GPU."""
    options = Options.from_fields(fields)
    classes = plan_tasks(plan.runs, options, lambda run, resources: 100.0)
    return [(len(task.runs), options.sharing(resources)) for resources, tasks in classes for task in tasks]


def test_a_slurm_task_is_packed_for_all_of_its_workers(plan_of: Callable[..., Plan]) -> None:
    words = ("dataset=digits", "logger=none", "image_size=28", "trainer.batch_size=32", "seed=range(12)")
    plan = plan_of(*words)
    assert tasks_of(plan, target_minutes=5) == [(3, 1)] * 4
    assert tasks_of(plan, target_minutes=5, workers_per_gpu=2) == [(6, 2)] * 2
    assert tasks_of(plan, target_minutes=5, workers_per_gpu=2, gpus=2) == [(12, 2)]
    assert tasks_of(plan, target_minutes=5, workers_per_gpu=2, gres="gpu:a100:2") == [(12, 2)]
    assert tasks_of(plan, target_minutes=5, workers=3) == [(9, 3), (3, 3)]
    assert tasks_of(plan, target_minutes=5, workers_per_gpu=2, gpus=0) == [(3, 1)] * 4


@pytest.mark.parametrize(
    ("gres", "count"),
    [
        (None, 4),
        ("gpu", 1),
        ("gpu:2", 2),
        ("gpu:a100:2", 2),
        ("gpu:a100", 1),
        ("gres/gpu:v100:1,nvme:1", 1),
        ("gpu:a100:1,gpu:v100:2", 3),
        ("shard:8", 1),
        ("nvme:1", 0),
    ],
)
def test_the_gpus_of_a_task_are_those_that_gres_names(gres: str | None, count: int) -> None:
    assert Options(gres=gres, gpus=4).gpu_count == count


def test_a_slurm_task_starts_its_workers_on_the_gpus_that_it_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def pool_of(gpus: list[str], **fields: int) -> tuple[int, int | None]:
        monkeypatch.setattr(array_task, "visible_gpus", lambda: gpus)
        batch = Batch(folder=tmp_path, study=None, tasks=[], cpus=8, **fields)
        made = TaskRunner(batch, 0, Interrupt())._pool()
        return made.count, made.threads

    assert pool_of(["0", "1"], workers_per_gpu=2) == (4, 2)
    assert pool_of(["0"], workers_per_gpu=16) == (16, 1)
    assert pool_of([], workers_per_gpu=2) == (1, 8)
    assert pool_of(["0", "1"]) == (2, 4)
