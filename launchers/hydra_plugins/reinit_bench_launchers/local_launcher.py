"""The local launcher: runs a sweep on this machine in worker processes, some per GPU or one per CPU core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class LocalLauncher(Launcher):
    """A pool of worker processes (`reinit_bench.sweep.pool`).

    Args:
        workers: how many processes; null: workers_per_gpu for each GPU, or one per CPU core.
        workers_per_gpu: how many processes share a GPU; null: one; not with workers.
        threads: CPU threads of each; null: the cores divided among the workers.
        retry: which failed runs to run again: all, none, or kinds of error as `status` names them.
    """

    def __init__(
        self,
        workers: int | None = None,
        workers_per_gpu: int | None = None,
        threads: int | None = None,
        retry: Any = "all",
    ) -> None:
        self.workers, self.workers_per_gpu, self.threads, self.retry = workers, workers_per_gpu, threads, retry
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from reinit_bench.cli.compose import Composer
        from reinit_bench.core.conf_dir import config_name
        from reinit_bench.sweep.local import run_locally

        assert self.hydra_context is not None
        composer = Composer(self.hydra_context.config_loader, config_name())
        planned = list(composer.planned(job_overrides))
        run_locally(planned, self.workers, self.threads, retry=self.retry, workers_per_gpu=self.workers_per_gpu)
        return []


ConfigStore.instance().store(
    group="hydra/launcher",
    name="local",
    node={
        "_target_": "hydra_plugins.reinit_bench_launchers.local_launcher.LocalLauncher",
        "workers": None,
        "workers_per_gpu": None,
        "threads": None,
        "retry": "all",
    },
    provider="reinit_bench",
)
