"""Which logger a configuration asks for: the `logger` section of conf/."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from reinit_bench.core.settings import ConfigError, Settings, setting
from reinit_bench.reporting.wandb_logger import Mode, WandbLogger


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
    if mode is None:
        return None
    return WandbLogger(mode=mode, results_dir=results_dir, project=settings.project, entity=settings.entity)


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
