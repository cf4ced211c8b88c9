"""One reading of what a user types, for single runs, sweeps and every sub-command: overrides and Hydra's flags."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from reinit_bench.core.conf_dir import conf_dirs, has_own_config
from reinit_bench.core.settings import ConfigError

TEXT_FIELDS = ("results_dir", "dataset.path", "dataset.data_dir", "dataset.name", "logger.project", "logger.entity")
"""Fields whose value is taken literally where Hydra's grammar cannot read it, as in `results_dir=~/x`."""

_CONFIG_FLAGS = {"--config-dir": "dir", "-cd": "dir", "--config-name": "name", "-cn": "name"}
_SAFE = re.compile(r"[A-Za-z0-9_./:@%+-]+")
_OVERRIDE = re.compile(r"(?P<mark>\+{0,2})(?P<key>[A-Za-z_][\w./@:-]*)=(?P<value>.*)", re.DOTALL)


def split_config_flags(words: Sequence[str]) -> tuple[list[str], Path | None, str | None]:
    """The words without `--config-dir` and `--config-name`, and the values of these two.

    Raises:
        ConfigError: the folder is not there, or a flag has no value.
    """
    found: dict[str, str] = {}
    rest, remaining = [], iter(words)
    for word in remaining:
        flag, equals, value = word.partition("=")
        if flag not in _CONFIG_FLAGS:
            rest.append(word)
            continue
        given = value if equals else next(remaining, None)
        if given is None:
            raise ConfigError(f"{flag} needs a value: {flag} {_CONFIG_FLAGS[flag].upper()}")
        found[_CONFIG_FLAGS[flag]] = given
    folder = Path(found["dir"]).expanduser().absolute() if "dir" in found else None
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"--config-dir must be a folder of groups (method/, study/, ...); {folder} is none")
    return rest, folder, found.get("name")


def readable(words: Sequence[str]) -> list[str]:
    """The words with text quoted that Hydra's grammar could not read as it stands; lists for groups are refused.

    Raises:
        ConfigError: a group is given two options at once.
    """
    return [_readable(word) for word in words]


def _readable(word: str) -> str:
    match = _OVERRIDE.fullmatch(word)
    if match is None:
        return word
    key, value = match["key"], match["value"]
    if value.startswith("[") and any((folder / key).is_dir() for folder in conf_dirs()):
        names = value.strip("[]")
        raise ConfigError(f"{key}={value}: one run has one {key}; for a run with each of them: -m {key}={names}")
    if key not in TEXT_FIELDS or _SAFE.fullmatch(value) or not value:
        return word
    from hydra.errors import OverrideParseException

    from reinit_bench.cli.compose import parsed

    try:
        parsed(f"{key}={value}")
    except OverrideParseException:
        return f"{match['mark']}{key}={quoted(value)}"
    return word


def quoted(text: str) -> str:
    """Text in Hydra's quotes."""
    escaped = re.sub(r"(\\*)(?=\'|$)", r"\1\1", text).replace("'", "\\'")
    return f"'{escaped}'"


def results_dir_of(words: Sequence[str]) -> Path:
    """The results folder of a sub-command: of `results_dir=`, the user's configuration, the variable, or the default.

    Raises:
        ConfigError: the value is no text.
    """
    given = [word for word in words if word.startswith("results_dir=")]
    value: object = given[-1].partition("=")[2] if given else os.environ.get("REINIT_BENCH_RESULTS", "")
    if (given and not _SAFE.fullmatch(str(value))) or (not given and has_own_config()):
        from reinit_bench.cli.compose import composer

        with composer() as compose:
            value = compose.by_hydra(readable(given))["results_dir"]
    from reinit_bench.core.config import Execution

    return Execution.from_dict({"results_dir": value}).results_dir


def without_results_dir(words: Sequence[str]) -> list[str]:
    """The words that do not say where results are."""
    return [word for word in words if not word.startswith("results_dir=")]
