"""How many worker processes share one GPU: `hydra.launcher.workers_per_gpu`.

A network that is small enough spends its step waiting for kernels to be launched, and the GPU is idle meanwhile; other
processes can use it. `auto` is a rule of thumb from the cost model, which has not been checked on a GPU:
`benchmarks/gpu_runs.py` measures what is best on yours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from reinit_bench.core.config import Experiment
from reinit_bench.core.machine import gpu_states, mps_runs
from reinit_bench.core.settings import ConfigError, checked
from reinit_bench.sweep.cost import GPU, arithmetic_seconds, overhead_seconds

AUTO = "auto"
ALLOWED = {"limits": {"least": 1}, "choices": (AUTO,)}
"""What `workers_per_gpu` may be, in the form that `settings.checked` takes."""
MOST = 8
"""`auto` chooses no more."""
GPU_GIB, HOST_GIB = 2.0, 4.0
"""Allowed for each worker by `auto`: on the GPU for CUDA itself, a small network and its data; on the host."""


def checked_sharing(workers_per_gpu: Any, workers: int | None) -> int | str | None:
    """The launcher's field `workers_per_gpu`: a number, `auto`, or null.

    Raises:
        ConfigError: it is something else, or `workers` is given too.
    """
    value: int | str | None = checked("hydra.launcher.workers_per_gpu", workers_per_gpu, int | str | None, ALLOWED)
    if value is not None and workers is not None:
        raise ConfigError(
            "hydra.launcher.workers is how many processes there are in all, hydra.launcher.workers_per_gpu how many "
            "each GPU has: give one of them"
        )
    return value


def sharing(
    wanted: int | str | None,
    experiments: Iterable[Experiment],
    cores: float,
    host_gib: float | None = None,
    gpu_gib: float | None = None,
) -> int:
    """How many workers a GPU gets; with `auto` as many as fill it by the cost model, and as there is room for.

    Args:
        wanted: the field, checked.
        experiments: what the workers will train; the largest decides.
        cores, host_gib: CPU cores and memory for each GPU's workers; None: not known.
        gpu_gib: free memory of the GPU; None: not known.
    """
    if wanted != AUTO:
        return int(wanted or 1)
    room = [MOST, cores, *(given / each for given, each in ((host_gib, HOST_GIB), (gpu_gib, GPU_GIB)) if given)]
    return max(1, min(int(min(room)), *map(workers_to_fill, experiments)))


def workers_to_fill(experiment: Experiment) -> int:
    """By the cost model: how many processes a GPU can serve while one waits for its launches; at most `MOST`."""
    busy = arithmetic_seconds(experiment, GPU)
    return MOST if busy <= 0 else max(1, min(MOST, int((busy + overhead_seconds(experiment, GPU)) / busy)))


def check_shareable(gpus: Sequence[str], workers: int) -> None:
    """Raise ConfigError if these GPUs take one process each, and so many workers are to share one."""
    if workers > 1 and (closed := exclusive(gpus)):
        raise ConfigError(
            f"GPU {', '.join(closed)} takes only one process at a time (compute mode EXCLUSIVE_PROCESS), so {workers} "
            "workers cannot share it: leave out hydra.launcher.workers_per_gpu and hydra.launcher.workers, or start "
            "CUDA MPS before (nvidia-cuda-mps-control -d)"
        )


def exclusive(gpus: Sequence[str]) -> list[str]:
    """Those of these GPUs that cannot be shared: in an exclusive mode, and MPS is not running."""
    closed = [state.gpu for state in gpu_states(gpus) if "exclusive" in state.mode.lower()]
    return [] if closed and mps_runs() else closed
