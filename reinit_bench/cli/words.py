"""One reading of what a user types, for single runs, sweeps and every sub-command: overrides and Hydra's flags."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from reinit_bench.core.conf_dir import conf_dirs, has_own_config
from reinit_bench.core.settings import ConfigError
from reinit_bench.sweep.studies import quoted

TEXT_FIELDS = ("results_dir", "dataset.path", "dataset.data_dir", "dataset.name", "logger.project", "logger.entity")
"""Fields whose value is taken literally where Hydra's grammar cannot read it, as in `results_dir=~/x`."""

_CONFIG_FLAGS = {"--config-dir": "dir", "-cd": "dir", "--config-name": "name", "-cn": "name"}
_SAFE = re.compile(r"[A-Za-z0-9_./:@%+-]+")
_LOOKS_OTHERWISE = re.compile(r"[-+.\d].*|true|false|nan|[+-]?inf", re.IGNORECASE)
"""Text that Hydra's grammar may take for a number or a truth value."""

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


def is_multirun(word: str) -> bool:
    """Whether a word asks for a sweep: `-m`, `--multirun` or a beginning of it, `hydra.mode=MULTIRUN`."""
    if word.startswith("--m"):
        return "--multirun".startswith(word)
    key, _, value = word.lstrip("+").partition("=")
    return word == "-m" or (key == "hydra.mode" and value.strip("'\"").upper().endswith("MULTIRUN"))


def readable(words: Sequence[str]) -> list[str]:
    """The words with text quoted that Hydra's grammar could not read as it stands; what means nothing is refused.

    Raises:
        ConfigError: a group or the seed is given twice, which looks like a sweep; of a field, the last value counts.
    """
    given: dict[str, str] = {}
    for word in words:
        match = _OVERRIDE.fullmatch(word)
        key = match["key"] if match else ""
        if (key == "seed" or _is_group(key)) and given.setdefault(key, word) != word:
            what = f"{key} is given twice: {given[key]} {word}"
            values = ",".join(each.partition("=")[2] for each in (given[key], word))
            raise ConfigError(what if key == "study" else f"{what}; for a run with each: -m {key}={values}")
    return [_readable(word) for word in words]


def _is_group(key: str) -> bool:
    return bool(key) and any((folder / key).is_dir() for folder in conf_dirs())


def _readable(word: str) -> str:
    match = _OVERRIDE.fullmatch(word)
    if match is None:
        return word
    key, value = match["key"], match["value"]
    if not value:
        raise ConfigError(f"{key}= has no value; null is no value, and '{key}=\"\"' is empty text")
    if value.startswith("[") and _is_group(key):
        names = value.strip("[]")
        raise ConfigError(f"{key}={value}: one run has one {key}; for a run with each of them: -m {key}={names}")
    # Interpolations within interpolations are beyond Hydra's grammar too, unless they are quoted.
    may_be_quoted = key in TEXT_FIELDS or (value.startswith("${") and value.endswith("}"))
    if not may_be_quoted or (_SAFE.fullmatch(value) and not _LOOKS_OTHERWISE.fullmatch(value)):
        return word
    from hydra.errors import OverrideParseException

    from reinit_bench.cli.compose import parsed

    try:
        override = parsed(f"{key}={value}")
        is_text = override.is_sweep_override() or isinstance(override.value(), str | list | None)
    except OverrideParseException:
        is_text = False
    return word if is_text else f"{match['mark']}{key}={quoted(value)}"


def results_dir_of(words: Sequence[str]) -> Path:
    """The results folder of a sub-command: of `results_dir=`, the user's configuration, the variable, or the default.

    Raises:
        ConfigError: the value is no text.
    """
    given = [word for word in words if word.startswith("results_dir=")]
    value: object = given[-1].partition("=")[2] if given else os.environ.get("REINIT_BENCH_RESULTS", "")
    if (given and (not _SAFE.fullmatch(str(value)) or value == "null")) or (not given and has_own_config()):
        from reinit_bench.cli.compose import composer

        with composer() as compose:
            value = compose.by_hydra(readable(given))["results_dir"]
    from reinit_bench.core.config import Execution

    return Execution.from_dict({"results_dir": value}).results_dir
