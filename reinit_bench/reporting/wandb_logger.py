"""Logs a run to Weights & Biases, online or offline; never in the way of the training.

Everything that touches `wandb` happens in a separate thread: a `log` takes half a millisecond, `init` seconds. Its
first error becomes one line on standard error and ends the logging of that run, but nothing else.

A resumed run stays one run: its id is the run id, a training step is a W&B step, and the steps that W&B already has are
not logged again. A run that starts at step 0 replaces what an earlier attempt logged under its id. Only `kill -9` costs
W&B something: what it had not yet written (offline) or sent (online, about 15 s of the curve).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reinit_bench.reporting.wandb_account import Mode, api_key
from reinit_bench.reporting.wandb_file import recover
from reinit_bench.reporting.wandb_rows import Row, epoch_rows, round_row, round_summary, run_summary
from reinit_bench.training.observer import EpochEnd, Observer, RoundEnd, RunEnd, RunStart

if TYPE_CHECKING:
    import wandb

INIT_SECONDS = 60.0
"""How long W&B may take to start a run; after that the run is not logged."""
UPLOAD_SECONDS = 60.0
"""How long the end of a run waits for W&B's uploads; what is left then stays on disk, for `wandb sync`."""
FLUSH_SECONDS = 0.5
"""How many seconds of an offline curve `kill -9` may cost."""


class WandbLogger(Observer):
    """Logs one run after another.

    Args:
        mode: `online` or `offline`.
        results_dir: W&B's files go to the folder `wandb` in it.
        project: W&B project.
        entity: user or team that owns the project; None: the account's default.
    """

    def __init__(self, *, mode: Mode, results_dir: Path, project: str, entity: str | None) -> None:
        self.mode = mode
        self.results_dir = results_dir
        self.project = project
        self.entity = entity
        self._thread: ThreadPoolExecutor | None = None
        self._run: wandb.Run | None = None
        self._next_step = 0

    def run_started(self, event: RunStart) -> None:
        self.close()
        self._thread = ThreadPoolExecutor(1, "wandb")
        self._later(self._open, event)

    def epoch_ended(self, event: EpochEnd) -> None:
        self._later(self._log, epoch_rows(event))

    def round_ended(self, event: RoundEnd) -> None:
        self._later(self._log, [round_row(event)])
        self._later(self._summarize, round_summary(event))

    def run_ended(self, event: RunEnd) -> None:
        self._later(self._summarize, run_summary(event.summary, event.state))
        self._later(self._finish, event.state)
        self.close()

    def close(self) -> None:
        """Wait until everything is logged; a run that has not reported how it ended counts as failed."""
        if self._thread is not None:
            self._later(self._finish, "failed")
            self._thread.shutdown()
            self._thread = None

    def _later(self, action: Callable[..., None], *arguments: Any) -> None:
        """Have the thread call `action`, after everything before it."""
        if self._thread is not None:
            self._thread.submit(self._guarded, action, *arguments)

    def _guarded(self, action: Callable[..., None], *arguments: Any) -> None:
        try:
            action(*arguments)
        except Exception as error:
            self._run = None
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            print(f"W&B: {reason}; training continues without logging to W&B", file=sys.stderr)
            # If W&B's own process has died, only this lets it start another for the next run.
            if "wandb" in sys.modules:
                with suppress(Exception):
                    sys.modules["wandb"].teardown()

    def _open(self, event: RunStart) -> None:
        folder = self.results_dir / "wandb"
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            # W&B itself would quietly log to the system's temporary folder.
            raise PermissionError(f"cannot write to {folder}")
        # Before the import: W&B announces its settings files when it first reads them.
        os.environ.setdefault("WANDB_SILENT", "true")
        import wandb

        resumed = event.first_step > 0
        logged_offline = recover(folder, event.run_id) if self.mode == "offline" else 0
        run = wandb.init(
            id=event.run_id,
            name=event.title,
            group=event.study,
            project=self.project,
            entity=self.entity,
            config=dict(event.config),
            dir=str(self.results_dir),
            mode=self.mode,
            resume="allow" if resumed else None,
            settings=self._settings(),
        )
        self._next_step = max(run.step, logged_offline) if resumed else 0
        self._run = run

    def _settings(self) -> wandb.Settings:
        import wandb

        settings = wandb.Settings(
            silent=True,
            console="off",
            symlink=False,  # the runs of a sweep would fight over `latest-run`
            disable_git=True,  # the folder that a user starts from says nothing about the code that trains
            reinit="create_new",
            # Passed explicitly, so that W&B never asks for one on the terminal.
            api_key=api_key() if self.mode == "online" else None,
            init_timeout=INIT_SECONDS,
            finish_timeout=UPLOAD_SECONDS,
        )
        if hasattr(settings, "x_transaction_log_flush_interval"):  # not a setting that W&B promises to keep
            settings.x_transaction_log_flush_interval = FLUSH_SECONDS
        return settings

    def _log(self, rows: Sequence[Row]) -> None:
        if self._run is None:
            return
        for row in rows:
            if row.step >= self._next_step:
                self._run.log(row.values, step=row.step)

    def _summarize(self, values: Mapping[str, Any]) -> None:
        if self._run is not None:
            self._run.summary.update(dict(values))

    def _finish(self, state: str) -> None:
        run, self._run = self._run, None
        if run is None:
            return
        if state == "interrupted":
            run.mark_preempting()  # W&B then shows it as preempted, not as crashed
        run.finish(exit_code=0 if state == "done" else 1)
        if self.mode == "offline":
            print(f"W&B: logged offline; `wandb sync {Path(run.dir).parent}` uploads it", file=sys.stderr)
