from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb_server import WandbServer

from reinit_bench.core.conf_dir import conf_dir
from reinit_bench.core.settings import ConfigError
from reinit_bench.reporting.loggers import LoggerSettings, logger_observer, wandb_mode

KEY = "a" * 40


@pytest.mark.parametrize(
    ("name", "wanted", "key", "mode"),
    [
        ("auto", None, "", None),
        ("auto", None, KEY, "online"),
        ("auto", None, "too short", "offline"),
        ("auto", "offline", KEY, "offline"),
        ("auto", "offline", "", "offline"),
        ("auto", "disabled", KEY, None),
        ("wandb", None, KEY, "online"),
        ("wandb", None, "", "offline"),
        ("wandb", "online", "", "offline"),
        ("wandb", "disabled", KEY, None),
        ("none", "online", KEY, None),
    ],
)
def test_the_mode_of_logging(
    name: str, wanted: str | None, key: str, mode: str | None, server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    if wanted:
        monkeypatch.setenv("WANDB_MODE", wanted)
    if key:
        monkeypatch.setenv("WANDB_API_KEY", key)
    assert wandb_mode(name) == mode


@pytest.mark.slow
def test_without_a_network_a_run_is_logged_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("WANDB_HTTP_TIMEOUT", "1")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert wandb_mode("auto") == "offline"


def test_what_was_told_to_wandb_itself_holds(bare_home: Path) -> None:
    """`wandb login` writes the netrc file, `wandb offline` a file of settings in the current folder."""
    (bare_home / ".netrc").write_text(f"machine api.forge.coreweave.com login user password {KEY}\n")
    Path("wandb").mkdir()
    Path("wandb", "settings").write_text("[default]\nmode = offline\n")
    assert wandb_mode("auto") == "offline"


def test_nobody_is_asked_for_a_key_on_a_terminal() -> None:
    code = "from reinit_bench.reporting.loggers import wandb_mode; print([wandb_mode('auto'), wandb_mode('wandb')])"
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", code], stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True, timeout=60
    )
    os.close(theirs)
    os.close(ours)
    assert (done.returncode, done.stdout) == (0, "[None, 'offline']\n")


def test_the_section_reaches_the_logger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    logger = logger_observer({"name": "wandb", "project": "mine", "entity": "lab", "_label_": "W&B"}, tmp_path)
    assert logger is not None
    assert (logger.mode, logger.project, logger.entity, logger.results_dir) == ("offline", "mine", "lab", tmp_path)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"name": "tensorboard"}, "logger.name must be one of auto, wandb, none; got 'tensorboard'"),
        ({"name": "none", "group": "x"}, "logger has no field 'group'; its fields are name, project, entity"),
        ({"name": "none", "project": 3}, "logger.project must be text; got 3"),
    ],
)
def test_a_wrong_section_is_one_clear_line(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        logger_observer(section, Path("results"))
    assert str(raised.value) == message


@pytest.mark.parametrize("path", sorted((conf_dir() / "logger").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_option_of_the_group_is_a_valid_section(path: Path) -> None:
    settings = LoggerSettings(**yaml.safe_load(path.read_text()))
    assert (settings.name, settings.project, settings.entity) == (path.stem, "reinit-bench", None)
