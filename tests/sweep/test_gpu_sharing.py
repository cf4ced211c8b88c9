"""Several workers on one GPU: how many, what each may use, and what is said where it cannot be. No GPU is used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from factories import tiny_experiment

from reinit_bench.cli.doctor import findings
from reinit_bench.core import machine
from reinit_bench.core.machine import gpu_states, mps_runs, share_gpu
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.placement import RESIDENT_SHARE, fits
from reinit_bench.data.source import Examples
from reinit_bench.sweep import local
from reinit_bench.sweep.cost import GPU, Rates, arithmetic_seconds, cost_of, overhead_seconds
from reinit_bench.sweep.gpu_sharing import MOST, check_shareable, checked_sharing, sharing, workers_to_fill
from reinit_bench.sweep.plan import Plan
from reinit_bench.sweep.pool import Pool
from reinit_bench.sweep.slurm import array_task
from reinit_bench.sweep.slurm.array_task import TaskRunner
from reinit_bench.sweep.slurm.batch import Batch
from reinit_bench.sweep.slurm.options import Options
from reinit_bench.sweep.slurm.task_plans import plan_tasks
from reinit_bench.training.interrupt import Interrupt
from reinit_bench.training.step import OutOfMemory, memory_explained

SMALL = tiny_experiment("image_size=28", "model.width=0.5", "trainer.batch_size=32")
LARGE = tiny_experiment("image_size=224", "model=resnet50", "model.width=1", "trainer.batch_size=256")
NOTHING_KNOWN = Rates({}, {})


@pytest.fixture
def _alone_again() -> Iterator[None]:
    """This process's GPU is its own again."""
    yield
    share_gpu(1)


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the only commands that there are: nvidia-smi, of one GPU, and nvidia-cuda-mps-control if `mps` is given."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    def write(name: str, script: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    def make(mode: str = "Default", free: str = "40960", mps: str | None = None) -> None:
        write(
            "nvidia-smi", f'[ "$1" = -L ] && echo "GPU 0: One (UUID: GPU-ab12)" || echo "0, GPU-ab12, {mode}, {free}"'
        )
        if mps is not None:
            write("nvidia-cuda-mps-control", mps)

    return make


RUNNING = 'read word; [ "$word" = get_server_list ]'
STOPPED = 'echo "Cannot find MPS control daemon process"; exit 1'


# --- how many ---


def test_auto_fills_a_gpu_with_small_networks_and_leaves_a_large_one_alone() -> None:
    assert workers_to_fill(SMALL) == MOST
    assert workers_to_fill(LARGE) == 1
    assert sharing("auto", [SMALL], cores=64) == MOST
    assert sharing("auto", [SMALL, LARGE], cores=64) == 1
    assert sharing("auto", [SMALL], cores=3.5) == 3
    assert sharing("auto", [SMALL], cores=0.5) == 1
    assert sharing("auto", [SMALL], cores=64, host_gib=17) == 4
    assert sharing("auto", [SMALL], cores=64, gpu_gib=11) == 5
    assert [sharing(given, [LARGE], cores=1) for given in (None, 1, 16)] == [1, 1, 16]  # who gives a number means it


def test_auto_never_chooses_more_than_would_slow_a_run_down_by_the_model() -> None:
    for size in (8, 28, 64, 96, 128, 224):
        one = tiny_experiment(f"image_size={size}", "model=resnet50", "model.width=1", "trainer.batch_size=64")
        busy, waiting = arithmetic_seconds(one, GPU), overhead_seconds(one, GPU)
        count = workers_to_fill(one)
        assert count * busy <= busy + waiting or count == 1
        assert count == MOST or (count + 1) * busy > busy + waiting


@pytest.mark.parametrize(
    ("given", "workers", "line"),
    [
        (0, None, "hydra.launcher.workers_per_gpu must be a whole number of at least 1 or auto (or null); got 0"),
        (
            "all",
            None,
            "hydra.launcher.workers_per_gpu must be a whole number of at least 1 or auto (or null); got 'all'",
        ),
        (2, 4, "each GPU has: give one of them"),
        ("auto", 1, "each GPU has: give one of them"),
    ],
)
def test_a_wrong_field_is_one_line(given: object, workers: int | None, line: str) -> None:
    for check in (
        lambda: checked_sharing(given, workers),
        lambda: Options.from_fields({"workers": workers, "workers_per_gpu": given}),
    ):
        with pytest.raises(ConfigError) as caught:
            check()
        assert line in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_local_launcher_counts_workers_by_gpu(
    plan_of: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch, commands: Callable[..., None]
) -> None:
    words = ("logger=none", "image_size=28", "model.width=0.5", "trainer.batch_size=32")
    runs = plan_of("dataset=digits", *words).runs
    monkeypatch.setattr(local, "cores", lambda: 12)
    monkeypatch.setattr(local, "visible_gpus", lambda: ["0", "1"])
    commands()
    assert local.processes(runs, None, 3) == (6, ["0", "1"])
    assert local.processes(runs, None, "auto") == (12, ["0", "1"])
    commands(free="7000")
    assert local.processes(runs, None, "auto") == (6, ["0", "1"])
    commands(mode="Exclusive_Process")
    assert local.processes(runs, None, "auto") == (2, ["0", "1"])
    monkeypatch.setattr(local, "visible_gpus", list)
    assert local.processes(runs, None, 3) == (12, [])


# --- what each may use ---


@pytest.mark.usefixtures("_alone_again")
def test_workers_divide_what_data_may_take_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = Examples(np.zeros((10, 2, 2, 3), np.uint8), np.zeros(10, np.int64))
    free = int(4 * 120 / RESIDENT_SHARE) + 1
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, free))
    for workers, resident in ((1, True), (4, True), (5, False)):
        share_gpu(workers)
        assert fits((examples,), torch.device("cuda")) == resident


@pytest.mark.usefixtures("_alone_again")
def test_too_little_memory_is_also_blamed_on_the_other_workers() -> None:
    for workers in (1, 2):
        share_gpu(workers)
        with pytest.raises(OutOfMemory) as caught, memory_explained(torch.device("cpu"), (3, 8, 8), "bf16", 1):
            raise MemoryError
        assert ("or fewer hydra.launcher.workers_per_gpu" in str(caught.value)) == (workers == 2)


def test_a_pool_counts_the_workers_of_a_gpu_by_the_runs_that_there_are(
    plan_of: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch, commands: Callable[..., None]
) -> None:
    commands()
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


# --- where it cannot be ---


def test_gpus_that_take_one_process_are_not_shared(plan_of: Callable[..., Plan], commands: Callable[..., None]) -> None:
    commands("Exclusive_Process", mps=STOPPED)
    check_shareable(["0"], 1)
    runs = plan_of("dataset=digits", "logger=none", "method=bl,lw").runs
    with pytest.raises(ConfigError) as caught:
        Pool(2, 1, ["0"]).run(runs, lambda run, kind, values: None)
    assert str(caught.value).startswith(
        "GPU 0 takes only one process at a time (compute mode EXCLUSIVE_PROCESS), so 2 "
    )
    assert "\n" not in str(caught.value)
    commands("Exclusive_Process", mps=RUNNING)
    check_shareable(["0"], 2)
    commands(mps=STOPPED)
    check_shareable(["0"], 2)


def test_what_nvidia_smi_says_of_a_gpu(commands: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    commands(free="2048")
    assert [(state.gpu, state.mode, state.free_gib) for state in gpu_states(["0"])] == [("0", "Default", 2.0)]
    assert [state.gpu for state in gpu_states(["1", "GPU-ab12"])] == ["GPU-ab12"]
    commands(free="[N/A]")
    assert [state.free_gib for state in gpu_states(["0"])] == [None]
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    assert gpu_states(["0"]) == []


@pytest.mark.parametrize(("mps", "runs"), [(RUNNING, True), (STOPPED, False), ("exit 3", False), (None, False)])
def test_doctor_says_whether_mps_runs(
    commands: Callable[..., None], tmp_path: Path, mps: str | None, runs: bool
) -> None:
    commands(mps=mps)
    assert mps_runs() == runs
    (found,) = [one for one in findings(tmp_path) if one.subject == "MPS"]
    assert found.fine == runs
    assert ("nvidia-cuda-mps-control -d starts it" in found.text) != runs


# --- what it costs, and on SLURM ---


def test_the_model_knows_that_runs_share_a_gpu() -> None:
    alone, together = (NOTHING_KNOWN.seconds_of_a_step(SMALL, GPU, count) for count in (1, 8))
    assert together == alone  # their launches overlap
    busy = arithmetic_seconds(LARGE, GPU)
    assert NOTHING_KNOWN.seconds_of_a_step(LARGE, GPU, 4) == pytest.approx(4 * busy)
    runs = [(SMALL, "cuda")] * 8
    one, eight = (cost_of(runs, NOTHING_KNOWN, GPU, count, lambda experiment: count) for count in (1, 8))  # noqa: B023
    assert eight.hours[GPU] == pytest.approx(one.hours[GPU] / 8)
    assert eight.wall_hours == pytest.approx(one.wall_hours / 8)


def tasks_of(plan: Plan, **fields: object) -> list[tuple[int, int]]:
    """Of each task: how many runs it has, of 100 s each, and how many share its GPU."""
    classes = plan_tasks(plan.runs, Options.from_fields(fields), lambda run, resources: 100.0)
    return [(len(task.runs), task.sharing) for _, tasks in classes for task in tasks]


def test_a_slurm_task_is_packed_for_all_of_its_workers(plan_of: Callable[..., Plan]) -> None:
    words = ("dataset=digits", "logger=none", "image_size=28", "trainer.batch_size=32", "seed=range(12)")
    plan = plan_of(*words)
    assert tasks_of(plan, target_minutes=5) == [(3, 1)] * 4
    assert tasks_of(plan, target_minutes=5, workers_per_gpu=2) == [(6, 2)] * 2
    assert tasks_of(plan, target_minutes=5, workers_per_gpu=2, gpus=2) == [(12, 2)]
    assert tasks_of(plan, target_minutes=5, workers_per_gpu=2, gres="gpu:a100:2") == [(12, 2)]
    assert tasks_of(plan, target_minutes=5, workers_per_gpu="auto", cpus=3) == [(9, 3), (3, 3)]
    assert tasks_of(plan, target_minutes=5, workers_per_gpu="auto", mem_gb=8) == [(6, 2)] * 2
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


def test_large_and_small_networks_are_in_arrays_of_their_own(plan_of: Callable[..., Plan]) -> None:
    words = ("dataset=digits", "logger=none", "model=resnet50", "image_size=28,224", "model.width=1")
    classes = plan_tasks(plan_of(*words).runs, Options(workers_per_gpu="auto"), lambda run, resources: 1.0)
    assert sorted([task.sharing for task in tasks] for _, tasks in classes) == [[1], [8]]


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
