"""Which logger a configuration asks for: the `logger` section of conf/."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from reinit_bench.core.settings import ConfigError, Settings, setting
from reinit_bench.reporting import wandb_account
from reinit_bench.reporting.wandb_logger import WandbLogger


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


def wandb_mode(name: str) -> wandb_account.Mode | None:
    """How `logger=name` logs to W&B here: online, offline, or not at all (None).

    `logger=wandb` is offline if there is no account or no network; so is `logger=auto` if there is an account but no
    network: nothing is lost. The user's W&B settings (WANDB_MODE, `wandb offline`, `wandb disabled`) take precedence.
    """
    wanted = wandb_account.wanted_mode()
    account = wandb_account.is_configured()
    if name == "none" or wanted == "disabled" or (name == "auto" and not account):
        return None
    if wanted == "offline" or not account:
        return "offline"
    if wanted == "online":
        return "online"
    return "online" if wandb_account.reachable(wandb_account.base_url()) else "offline"
