"""What enters the identity of a run when it is planned: the code of a user's own classes, and one class for a name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from reinit_bench.core.conf_dir import option_file, option_section, options
from reinit_bench.core.config import SECTIONS
from reinit_bench.core.settings import SOURCE, ConfigError
from reinit_bench.core.source import source_hash


def with_sources(config: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved configuration whose sections say of which code they are; those that say it already are left alone.

    Raises:
        ConfigError: a section's code is not found, or another class of its group has its name.
    """
    return {key: _with_source(key, value) if key in SECTIONS else value for key, value in config.items()}


def _with_source(group: str, section: Any) -> Any:
    target = section.get("_target_") if isinstance(section, Mapping) else None
    if not isinstance(target, str) or SOURCE in section:
        return section
    check_name(group, str(section.get("name")), target)
    try:
        source = source_hash(target)
    except (ImportError, OSError) as error:
        raise ConfigError(f"{group} {section.get('name')}: cannot find the code of {target}: {error}") from error
    return section if source is None else {**section, SOURCE: source}


@cache
def check_name(group: str, name: str, target: str) -> None:
    """Raise ConfigError if an option of this group has the same name and another class: tables could not tell them."""
    for option in options(group):
        found_name, found_target = _named(group, option, option_file(group, option))
        if found_name == name and found_target != target:
            raise ConfigError(
                f"two {group}s are called {name!r}: {target}, and {found_target} of {group}={option}; "
                f"give each its own name ({group}.name=NAME, or in its file)"
            )


@cache
def _named(group: str, option: str, file: Path | None) -> tuple[Any, Any]:
    """The name and the class that an option's file gives; read once, not for every name that is checked."""
    try:
        section = (option_section(group, option) if file else None) or {}
        return section.get("name"), section.get("_target_")
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError):
        return None, None  # whoever chooses it is told
