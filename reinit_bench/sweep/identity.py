"""What enters the identity of a run when it is planned: which class it is, unless its name alone says so.

A class of this package under the name that its own option gives it is known by that name, in ids of all versions. Of a
user's own class the hash of its code enters the id, and of ours under another name the class.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from reinit_bench.core.conf_dir import conf_dir, on_base, option_file, option_section, options
from reinit_bench.core.config import SECTIONS
from reinit_bench.core.settings import SOURCE, ConfigError
from reinit_bench.core.source import source_hash
from reinit_bench.data.content import with_content


def with_sources(config: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved configuration whose sections say of which code they are, and its dataset of which data; those that
    say it already are left alone.

    Raises:
        ConfigError: a section's code is not found, its data cannot be read, or another class of its group has its name.
    """
    sealed = {key: _with_source(key, value) if key in SECTIONS else value for key, value in config.items()}
    if isinstance(sealed.get("dataset"), Mapping):
        sealed["dataset"] = with_content(sealed["dataset"], sealed.get("image_size"), sealed.get("seed", 0))
    return sealed


def _with_source(group: str, section: Any) -> Any:
    target = section.get("_target_") if isinstance(section, Mapping) else None
    if isinstance(section, Mapping) and not str(section.get("name", group)).strip():
        raise ConfigError(f"{group}.name is empty; give it a name")
    if not isinstance(target, str) or SOURCE in section:
        return section
    check_name(group, str(section.get("name")), target)
    try:
        source = source_hash(target)
    except (ImportError, OSError) as error:
        raise ConfigError(f"{group} {section.get('name')}: cannot find the code of {target}: {error}") from error
    if source is None and not _is_known_by_name(group, str(section.get("name")), target):
        source = target
    return section if source is None else {**section, SOURCE: source}


@cache
def _is_known_by_name(group: str, name: str, target: str) -> bool:
    """Whether an option of this package gives this class this name, or leaves its name to the user (`_label_`)."""
    files = sorted((conf_dir() / group).glob("*.yaml"), key=lambda file: file.stem != name)  # most often the first
    for file in files:
        content = on_base(_of_package(f"{group}/{file.stem}") or {}, _of_package)
        section = content.get(group, content)
        if section.get("_target_") == target and (section["name"] == name or section.get("_label_") == "${.name}"):
            return True
    return False


def _of_package(path: str) -> dict[str, Any] | None:
    file = conf_dir() / f"{path}.yaml"
    content: dict[str, Any] | None = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
    return content


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
