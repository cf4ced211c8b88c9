"""The user's Weights & Biases account and settings, found without importing `wandb`, which takes a second.

Everything is read from where `wandb` itself keeps it: environment variables, its settings files and the netrc file.
"""

from __future__ import annotations

import configparser
import netrc
import os
import ssl
import threading
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

Mode = Literal["online", "offline"]

CLOUD_HOSTS = ("api.forge.coreweave.com", "api.wandb.ai")
"""The hosts of W&B's own service, the current and the former one; `wandb` accepts a key for either."""


def api_key() -> str | None:
    """The configured API key, or None: from WANDB_API_KEY, the netrc file or the settings files, in this order."""
    return os.environ.get("WANDB_API_KEY") or _netrc_key() or _settings_file().get("api_key") or None


def is_configured() -> bool:
    """Whether an account is configured: by an API key, or by an identity token in its place."""
    return bool(os.environ.get("WANDB_IDENTITY_TOKEN_FILE") or api_key())


def wanted_mode() -> str | None:
    """The mode that the user set (WANDB_MODE, `wandb offline`, `wandb disabled`): online, offline, disabled or None."""
    mode = _setting("mode") or ""
    return {"dryrun": "offline", "run": "online"}.get(mode, mode) or None


def base_url() -> str:
    """The server: the one that the user set (WANDB_BASE_URL, `wandb login --host`), otherwise W&B's own service."""
    return _setting("base_url") or f"https://{CLOUD_HOSTS[0]}"


@cache
def reachable(url: str, seconds: float = 3.0) -> bool:
    """Whether anything answers HTTP at `url` within `seconds`, through the proxy if one is set.

    Tried once per process, so that the runs of a sweep do not each wait for a network that is not there.
    """
    answers: list[bool] = []
    # In a thread, because looking up a host's address obeys no time limit.
    thread = threading.Thread(target=lambda: answers.append(_answers(url, seconds)), daemon=True)
    thread.start()
    thread.join(seconds)
    return any(answers)


def _answers(url: str, seconds: float) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=seconds):
            return True
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        # A certificate that Python does not know may be one that wandb knows.
        return isinstance(error.reason, ssl.SSLError)
    except (OSError, ValueError):
        return False


def _setting(name: str) -> str | None:
    return os.environ.get(f"WANDB_{name.upper()}") or _settings_file().get(name) or None


def _settings_file() -> dict[str, str]:
    """The content of `wandb`'s settings files; the one in the current folder takes precedence over the user's."""
    folder = Path(os.environ.get("WANDB_CONFIG_DIR") or Path.home() / ".config" / "wandb").expanduser()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read([folder / "settings", Path("wandb") / "settings"])
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}
    return dict(parser["default"]) if parser.has_section("default") else {}


def _netrc_key() -> str | None:
    named = os.environ.get("NETRC")
    paths = [Path(named).expanduser()] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    try:
        entries = netrc.netrc(path)
    except (netrc.NetrcParseError, OSError, UnicodeDecodeError):
        return None
    host = urlsplit(base_url()).netloc
    hosts = CLOUD_HOSTS if host in CLOUD_HOSTS else (host,)
    # `hosts` alone: a `default` entry of the netrc file is a password for anything, not a key.
    found = [entries.hosts[host][2] for host in hosts if host in entries.hosts]
    return found[0] if found else None
