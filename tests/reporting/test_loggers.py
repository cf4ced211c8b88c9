from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import reinit_bench
from reinit_bench.core.conf_dir import conf_dir
from reinit_bench.core.settings import ConfigError
from reinit_bench.reporting import wandb_account
from reinit_bench.reporting.loggers import LoggerSettings, logger_observer, wandb_mode

ROOT = Path(reinit_bench.__file__).parents[1]


@pytest.mark.parametrize(
    ("name", "wanted", "key", "network", "mode"),
    [
        ("auto", None, False, True, None),
        ("auto", None, True, True, "online"),
        ("auto", None, True, False, "offline"),
        ("auto", "offline", True, True, "offline"),
        ("auto", "offline", False, True, None),
        ("auto", "disabled", True, True, None),
        ("auto", "online", True, False, "online"),
        ("wandb", None, True, True, "online"),
        ("wandb", None, True, False, "offline"),
        ("wandb", None, False, True, "offline"),
        ("wandb", "online", False, True, "offline"),
        ("wandb", "offline", True, True, "offline"),
        ("wandb", "disabled", True, True, None),
        ("none", "online", True, True, None),
    ],
)
def test_the_mode_of_logging(
    name: str, wanted: str | None, key: bool, network: bool, mode: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if wanted:
        monkeypatch.setenv("WANDB_MODE", wanted)
    if key:
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setattr(wandb_account, "reachable", lambda url: network)
    assert wandb_mode(name) == mode


def test_auto_without_an_account_imports_neither_wandb_nor_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from reinit_bench.reporting.loggers import logger_observer;"
        "print(logger_observer({'name': 'auto'}, Path('results')), {'wandb', 'torch'} & set(sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "None set()\n"


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
