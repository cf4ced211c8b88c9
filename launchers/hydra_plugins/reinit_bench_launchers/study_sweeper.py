"""The study sweeper: `-m` expands a study's grids, with the command line's axes in place of theirs."""

from __future__ import annotations

from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class StudySweeper(Sweeper):
    """Sends every distinct point of a study to the launcher, in one batch; a tuned or sequential study's in several.

    The next batch is what the trials, or the looks, of the last one have decided. A launcher that only submits returns
    before they have ended: then the same command, typed later, goes on.
    """

    def __init__(self) -> None:
        self.launcher: Launcher | None = None
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        from reinit_bench.cli.compose import Composer
        from reinit_bench.core.conf_dir import config_name
        from reinit_bench.sweep.plan import SweepFailed, waiting_line

        assert self.hydra_context is not None
        assert self.launcher is not None
        composer = Composer(self.hydra_context.config_loader, config_name())
        jobs, failure = composer.jobs(arguments), None
        while True:
            try:
                returned, failure = self.launcher.launch(jobs, initial_job_idx=0), None
            except SweepFailed as error:
                returned, failure = [], error
            found = composer.jobs(arguments) if jobs.waiting else jobs
            if found == jobs:
                break
            jobs = found
        if failure is not None:
            raise failure
        if jobs.waiting:
            print(f"{waiting_line(jobs.waiting, sequential=jobs.is_sequential)}; then type the same command again")
        return returned


ConfigStore.instance().store(
    group="hydra/sweeper",
    name="study",
    node={"_target_": "hydra_plugins.reinit_bench_launchers.study_sweeper.StudySweeper"},
    provider="reinit_bench",
)
