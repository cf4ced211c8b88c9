"""The SLURM launcher: cuts a sweep into job arrays, submits them through submitit, and returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, ListConfig, OmegaConf


class SlurmLauncher(Launcher):
    """Submits what is left of a sweep (`reinit_bench.sweep.slurm`).

    The fields are those of `conf/hydra/launcher/slurm.yaml`, where each is explained.
    """

    def __init__(self, **fields: Any) -> None:
        self.fields = {key: _plain(value) for key, value in fields.items()}
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from reinit_bench.cli.compose import Composer
        from reinit_bench.core.conf_dir import config_name
        from reinit_bench.sweep.slurm.options import Options
        from reinit_bench.sweep.slurm.submit import run_on_slurm

        assert self.hydra_context is not None
        options = Options.from_fields(self.fields)
        composer = Composer(self.hydra_context.config_loader, config_name())
        run_on_slurm(list(composer.planned(job_overrides)), options)
        return []


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value) if isinstance(value, (DictConfig, ListConfig)) else value
