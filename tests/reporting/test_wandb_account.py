from __future__ import annotations

import http.server
import socket
import threading
from pathlib import Path

import pytest

from reinit_bench.reporting import wandb_account

NETRC = """
machine example.org login user password other
machine api.wandb.ai
  login user
  password from-netrc
default login user password for-anything
"""


def write_settings(folder: Path, **values: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{name} = {value}" for name, value in values.items()]
    (folder / "settings").write_text("\n".join(["[default]", *lines]) + "\n")


def test_nothing_is_configured_on_a_bare_machine() -> None:
    assert wandb_account.api_key() is None
    assert not wandb_account.is_configured()
    assert wandb_account.wanted_mode() is None
    assert wandb_account.base_url() == "https://api.forge.coreweave.com"


def test_the_variable_wins_over_netrc_and_netrc_over_the_settings_file(
    bare_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_settings(bare_home / ".config" / "wandb", api_key="from-settings")
    assert wandb_account.api_key() == "from-settings"
    (bare_home / ".netrc").write_text(NETRC)
    assert wandb_account.api_key() == "from-netrc"
    monkeypatch.setenv("WANDB_API_KEY", "from-variable")
    assert wandb_account.api_key() == "from-variable"
    assert wandb_account.is_configured()


def test_a_netrc_entry_counts_for_its_own_server_only(bare_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = bare_home / "keys"
    elsewhere.write_text(NETRC + "machine wandb.lab:8080 login user password from-lab\n")
    assert wandb_account.api_key() is None
    monkeypatch.setenv("NETRC", str(elsewhere))
    assert wandb_account.api_key() == "from-netrc"
    monkeypatch.setenv("WANDB_BASE_URL", "http://wandb.lab:8080")
    assert wandb_account.api_key() == "from-lab"
    monkeypatch.setenv("WANDB_BASE_URL", "http://other.lab")
    assert wandb_account.api_key() is None


def test_files_that_cannot_be_read_count_as_absent(bare_home: Path) -> None:
    (bare_home / ".netrc").write_text("machine\nmachine machine }{")
    folder = bare_home / ".config" / "wandb"
    folder.mkdir(parents=True)
    (folder / "settings").write_text("api_key before any section\n")
    assert wandb_account.api_key() is None
    assert wandb_account.wanted_mode() is None


def test_an_identity_token_stands_for_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_IDENTITY_TOKEN_FILE", "token.jwt")
    assert wandb_account.is_configured()
    assert wandb_account.api_key() is None


def test_the_mode_comes_from_the_variable_then_from_this_folder_then_from_the_user(
    bare_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_settings(bare_home / "elsewhere", mode="disabled", base_url="http://wandb.lab")
    monkeypatch.setenv("WANDB_CONFIG_DIR", "~/elsewhere")
    assert wandb_account.wanted_mode() == "disabled"
    assert wandb_account.base_url() == "http://wandb.lab"
    write_settings(Path("wandb"), mode="offline")
    assert wandb_account.wanted_mode() == "offline"
    assert wandb_account.base_url() == "http://wandb.lab"
    monkeypatch.setenv("WANDB_MODE", "run")
    assert wandb_account.wanted_mode() == "online"


def test_a_closed_port_and_an_invalid_url_are_not_reachable() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert not wandb_account.reachable(f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert not wandb_account.reachable("no url")


def test_a_server_that_answers_with_an_error_is_reachable() -> None:
    # This handler knows no method: it answers 501 to all.
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert wandb_account.reachable(f"http://127.0.0.1:{server.server_port}")
        thread.join()


def test_a_server_that_does_not_answer_is_not_reachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not wandb_account.reachable(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.2)
