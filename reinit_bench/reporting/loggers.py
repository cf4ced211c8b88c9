"""Logs a run to Weights & Biases, online or offline, as the `logger` section asks; never in the way of the training.

Everything that touches `wandb` happens in a separate thread: a `log` takes half a millisecond, `init` seconds. Its
first error becomes one line on standard error and ends the logging of that run, but nothing else.

A resumed run stays one run: its id is the run id, a training step is a W&B step. Offline, each attempt has a folder of
its own; `wandb sync` puts them together and takes what a killed one has written. The steps that a killed run had taken
after its last checkpoint are then in two of them, with equal values. A run that starts at step 0 replaces what an
earlier attempt logged under its id.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from reinit_bench.core.settings import ConfigError, Settings, setting
from reinit_bench.training.observer import EpochEnd, Observer, RoundEnd, RunEnd, RunStart

if TYPE_CHECKING:
    import wandb

Mode = Literal["online", "offline"]

INIT_SECONDS = 60.0
"""How long W&B may take to start a run; after that the run is not logged."""
UPLOAD_SECONDS = 60.0
"""How long the end of a run waits for W&B's uploads; what is left then stays on disk, for `wandb sync`."""
FLUSH_SECONDS = 0.5
"""How many seconds of an offline curve `kill -9` may cost."""

NOT_LOGGED = ("losses", "step", "total_step", "rounds")
"""Fields of events: losses are logged step by step, the others say where in the run W&B's step is."""


@dataclass(frozen=True, kw_only=True)
class LoggerSettings(Settings):
    """Where a run is logged in addition to its folder."""

    section: ClassVar[str] = "logger"

    name: str = setting("auto", choices=("auto", "wandb", "none"))
    """auto: W&B if an account is configured, otherwise nothing; wandb: always, offline if need be; none: nothing."""
    project: str = setting("reinit-bench")
    """W&B project."""
    entity: str | None = setting(None)
    """W&B user or team; null: the account's default."""


def logger_observer(logger: Mapping[str, Any], results_dir: Path) -> WandbLogger | None:
    """The observer that the section asks for; None if nothing is to be logged.

    Raises:
        ConfigError: the section has an unknown key or a value that is not allowed.
    """
    known = [spec.name for spec in fields(LoggerSettings)]
    given = {key: value for key, value in logger.items() if not key.startswith("_")}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ConfigError(f"logger has no field {unknown[0]!r}; its fields are {', '.join(known)}")
    settings = LoggerSettings(**given)
    mode = wandb_mode(settings.name)
    return WandbLogger(mode, results_dir, settings.project, settings.entity) if mode else None


@cache
def wandb_mode(name: str) -> Mode | None:
    """How `logger=name` logs to W&B here: online, offline, or not at all (None); asked once per process.

    W&B looks for the account itself (`wandb login`, WANDB_API_KEY, netrc) and never asks for one. Without an account,
    `logger=wandb` is offline and `logger=auto` logs nothing; with one, either is offline if the server cannot be
    reached or does not take the key: nothing is lost. The user's W&B settings (WANDB_MODE, `wandb offline`,
    `wandb disabled`) take precedence.
    """
    if name == "none":
        return None
    # Before the import: W&B announces its settings files when it first reads them.
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb
    from wandb.sdk import wandb_setup

    wanted = wandb_setup.singleton().settings.mode
    if wanted in ("offline", "disabled"):
        return "offline" if wanted == "offline" else None
    try:
        if wandb.login(prompt=False):
            return "online"
    except wandb.Error:
        return "offline"
    return "offline" if name == "wandb" else None


@dataclass
class WandbLogger(Observer):
    """Logs one run after another."""

    mode: Mode
    results_dir: Path
    """W&B's files go to the folder `wandb` in it."""
    project: str
    entity: str | None
    """User or team that owns the project; None: the account's default."""
    _thread: ThreadPoolExecutor | None = field(default=None, init=False)
    _run: wandb.Run | None = field(default=None, init=False)
    _first_step: int = field(default=0, init=False)

    def run_started(self, event: RunStart) -> None:
        self.close()
        self._first_step = event.first_step
        self._thread = ThreadPoolExecutor(1, "wandb")
        self._later(self._open, event)

    def epoch_ended(self, event: EpochEnd) -> None:
        first = event.total_step - len(event.losses) + 1
        for step, loss in enumerate(event.losses, first):
            self._later(self._log, step, {"loss": float(loss)})
        self._later(self._log, event.total_step, _values(event, "epoch/"))

    def round_ended(self, event: RoundEnd) -> None:
        if event.total_step > self._first_step:  # an earlier attempt has logged the rounds that it finished
            self._later(self._log, event.total_step, _values(event, "round/"))
        # Also under the round's own name, which later rounds do not overwrite: `round 2/test_accuracy`.
        self._later(self._summarize, _values(event, f"round {event.round}/"))

    def run_ended(self, event: RunEnd) -> None:
        # The result's numbers and strings: W&B has the configuration already.
        plain = {key: value for key, value in event.summary.items() if isinstance(value, (str, int, float))}
        self._later(self._summarize, {**plain, "state": event.state})
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
        import wandb

        settings = wandb.Settings(
            silent=True,
            console="off",
            symlink=False,  # the runs of a sweep would fight over `latest-run`
            disable_git=True,  # the folder that a user starts from says nothing about the code that trains
            reinit="create_new",
            init_timeout=INIT_SECONDS,
            finish_timeout=UPLOAD_SECONDS,
        )
        if hasattr(settings, "x_transaction_log_flush_interval"):  # not a setting that W&B promises to keep
            settings.x_transaction_log_flush_interval = FLUSH_SECONDS
        self._run = wandb.init(
            id=event.run_id,
            name=event.title,
            group=event.study,
            project=self.project,
            entity=self.entity,
            config=dict(event.config),
            dir=str(self.results_dir),
            mode=self.mode,
            resume="allow" if event.first_step else None,
            settings=settings,
        )

    def _log(self, step: int, values: Mapping[str, Any]) -> None:
        if self._run is not None:
            self._run.log(dict(values), step=step)

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
            # One command for each attempt: where one was killed while it wrote, `wandb sync` uploads what is whole,
            # but none of the folders that follow it in the same command.
            folders = sorted((self.results_dir / "wandb").glob(f"offline-run-*-{run.id}*"))
            commands = "; ".join(shlex.join(["wandb", "sync", str(folder)]) for folder in folders)
            print(f"W&B: logged offline; `{commands}` uploads it", file=sys.stderr)


def _values(event: EpochEnd | RoundEnd, prefix: str) -> dict[str, Any]:
    """The event's fields, those that are None left out."""
    return {prefix + k: v for k, v in vars(event).items() if k not in NOT_LOGGED and v is not None}
