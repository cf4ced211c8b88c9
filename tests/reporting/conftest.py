"""A machine on which nobody has configured Weights & Biases."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reinit_bench.reporting import wandb_account


@pytest.fixture(autouse=True)
def bare_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and an empty current folder; W&B's variables unset, and what W&B sets undone afterwards."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("no_proxy", "*")
    home = tmp_path / "home"
    here = tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    wandb_account.reachable.cache_clear()
    return home
