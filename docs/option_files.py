"""The options of a group: what each file in conf/ sets, says of itself, and says of its fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from yaml_comments import about, field_comments

from reinit_bench.core.conf_dir import conf_dir
from reinit_bench.core.config import Trainer
from reinit_bench.reporting.loggers import LoggerSettings
from reinit_bench.sweep.slurm.options import Options, Workers

WITHOUT_TARGET = {
    "trainer": Trainer,
    "logger": LoggerSettings,
    "hydra/launcher": Options,
    "hydra/launcher/local": Workers,
}
"""The classes of fields of groups, or single options, whose files do not name them."""


@dataclass(frozen=True)
class Option:
    """One file of a group.

    Attributes:
        about: the comment that opens it, as Markdown.
        section: the fields that it sets, those of the options that it builds on too.
        comments: what is said of a field, by its name.
        also: what it sets outside its section.
    """

    group: str
    name: str
    about: str
    section: Mapping[str, Any]
    comments: Mapping[str, str]
    also: Mapping[str, Any]

    @property
    def kind(self) -> type | None:
        """The class whose fields the section sets; None where the section is all there is."""
        target = self.section.get("_target_")
        if self.group in WITHOUT_TARGET or target is None:
            return WITHOUT_TARGET.get(f"{self.group}/{self.name}", WITHOUT_TARGET.get(self.group))
        module, _, name = str(target).rpartition(".")
        found: type = getattr(import_module(module), name)
        return found


def options_of(group: str) -> list[Option]:
    """The options of a group, by name."""
    return [_option(group, path) for path in sorted((conf_dir() / group).glob("*.yaml"))]


def default_of(group: str) -> str | None:
    """The option that a run has where none is chosen."""
    entries = yaml.safe_load((conf_dir() / "config.yaml").read_text(encoding="utf-8"))["defaults"]
    chosen = {
        key.removeprefix("override "): name for entry in entries if entry != "_self_" for key, name in entry.items()
    }
    return chosen.get(group)


def by_kind(options: Sequence[Option]) -> list[list[Option]]:
    """The options, those of one class together."""
    groups: dict[Any, list[Option]] = {}
    for option in options:
        groups.setdefault(option.kind, []).append(option)
    return list(groups.values())


def _option(group: str, path: Path) -> Option:
    text = path.read_text(encoding="utf-8")
    content = yaml.safe_load(text) or {}
    comments = field_comments(text)
    also: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for entry in content.pop("defaults", []):
        if isinstance(entry, str) and entry != "_self_":  # what this one builds on
            file = conf_dir() / f"{entry[1:]}.yaml" if entry.startswith("/") else path.with_name(f"{entry}.yaml")
            base = _option(group, file)
            merged, comments, also = {**base.section}, {**base.comments, **comments}, {**base.also}
        elif isinstance(entry, dict):
            also |= {key.removeprefix("override /"): value for key, value in entry.items()}
    if isinstance(content.get(group), dict):  # a file for the whole configuration, as those of datasets are
        also |= {key: value for key, value in content.items() if key != group}
        content = content[group]
        comments = {key.removeprefix(f"{group}."): said for key, said in comments.items()}
    return Option(group, path.stem, about(text), {**merged, **content}, comments, also)
