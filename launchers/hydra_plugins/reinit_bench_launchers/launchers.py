"""Where a sweep runs: on this machine in worker processes, or on SLURM as job arrays, submitted through submitit.

The fields of both are those of conf/hydra/launcher/, where each is explained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, ListConfig, OmegaConf

if TYPE_CHECKING:
    from reinit_bench.sweep.plan import PlannedRun


class _StudyLauncher(Launcher):
    """Knows its fields, and composes the runs that it is given."""

    def __init__(self, **fields: Any) -> None:
        self.fields: dict[str, Any] = {
            key: OmegaConf.to_container(value) if isinstance(value, DictConfig | ListConfig) else value
            for key, value in fields.items()
        }
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context

    def planned(self, job_overrides: Sequence[Sequence[str]]) -> list[PlannedRun]:
        from reinit_bench.cli.compose import Composer
        from reinit_bench.core.conf_dir import config_name

        assert self.hydra_context is not None
        return list(Composer(self.hydra_context.config_loader, config_name()).planned(job_overrides))


class LocalLauncher(_StudyLauncher):
    """A pool of worker processes (`reinit_bench.sweep.pool`)."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from reinit_bench.sweep.local import run_locally
        from reinit_bench.sweep.slurm.options import Workers

        options = Workers(**self.fields)
        run_locally(self.planned(job_overrides), options)
        return []


class SlurmLauncher(_StudyLauncher):
    """Submits what is left of a sweep (`reinit_bench.sweep.slurm`) and returns."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from reinit_bench.sweep.slurm.options import Options
        from reinit_bench.sweep.slurm.submit import run_on_slurm

        options = Options.from_fields(self.fields)
        run_on_slurm(self.planned(job_overrides), options)
        return []
