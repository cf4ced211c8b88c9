"""From what a user types to resolved configurations: with the plugins the only code that knows Hydra."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import OmegaConf

from reinit_bench.conf_dir import conf_dir
from reinit_bench.settings import ConfigError
from reinit_bench.sweep.studies import Study, overrides_of

CONFIG_NAME = "config"


@cache
def parsed(text: str) -> Override:
    """One override as Hydra's grammar reads it."""
    override: Override = OverridesParser.create().parse_overrides([text])[0]
    return override


class Composer:
    """Composes many configurations quickly, each equal to what Hydra itself would compose.

    Hydra parses and copies every group file for every configuration. But a group's option contributes the same section
    to all of them, so each is composed by Hydra once and the sections are put together. Whatever does not fit that
    (added or deleted keys, an option that reaches outside its section) goes to Hydra whole.
    """

    def __init__(self, loader: ConfigLoader, config_name: str = CONFIG_NAME) -> None:
        self.loader = loader
        self.config_name = config_name
        self.groups = {name for name in loader.list_groups("") if name != "hydra"}
        self._bases: dict[str | None, dict[str, Any]] = {}
        self._sections: dict[tuple[str, str], dict[str, Any] | None] = {}

    def compose(self, overrides: Sequence[str]) -> dict[str, Any]:
        """The resolved configuration, without Hydra's own node, as plain dicts.

        Raises:
            hydra.errors.HydraException: an override names no group, option or field.
        """
        plain = self._assembled([parsed(text) for text in overrides])
        return self.by_hydra(overrides) if plain is None else plain

    def study_of(self, overrides: Sequence[str]) -> Study:
        """The study that the overrides choose; without one, a study of a single empty grid."""
        chosen = [text for text in overrides if parsed(text).key_or_group == "study"]
        return Study.from_dict(self.compose(chosen)["study"])

    def by_hydra(self, overrides: Sequence[str]) -> dict[str, Any]:
        """As `compose`, by Hydra alone."""
        config = self.loader.load_configuration(self.config_name, list(overrides), run_mode=RunMode.RUN)
        plain = OmegaConf.to_container(
            OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"]), resolve=True
        )
        assert isinstance(plain, dict)
        return {str(key): value for key, value in plain.items()}

    def _assembled(self, overrides: Sequence[Override]) -> dict[str, Any] | None:
        """The configuration put together from composed sections; None where that would not be exact."""
        choices: dict[str, str] = {}
        values: list[tuple[str, Any]] = []
        for override in overrides:
            if not _is_plain(override):
                return None
            key, value = override.key_or_group, override.value()
            if key in self.groups:
                if not isinstance(value, str):
                    return None
                choices[key] = value
            elif not key.startswith("hydra"):
                values.append((key, value))
        config = copy.deepcopy(self._base(choices.pop("dataset", None)))
        for group, option in choices.items():
            section = self._section(group, option)
            if section is None:
                return None
            config[group] = copy.deepcopy(section)
        return config if all(_set(config, key, value) for key, value in values) else None

    def _base(self, dataset: str | None) -> dict[str, Any]:
        """Everything at its default, with one dataset, which may bring an image size and a trainer."""
        if dataset not in self._bases:
            self._bases[dataset] = self.by_hydra([] if dataset is None else [f"dataset={dataset}"])
        return self._bases[dataset]

    def _section(self, group: str, option: str) -> dict[str, Any] | None:
        """One option's section; None where the option changes anything outside it."""
        if (group, option) not in self._sections:
            composed, base = self.by_hydra([f"{group}={option}"]), self._base(None)
            apart = {key: value for key, value in composed.items() if key != group}
            same = apart == {key: value for key, value in base.items() if key != group}
            self._sections[group, option] = composed[group] if same else None
        return self._sections[group, option]


def _set(config: dict[str, Any], key: str, value: Any) -> bool:
    """Set a field that exists by its dotted path; whether there was one, and a plain value to set it to."""
    *path, last = key.split(".")
    node: Any = config
    for name in path:
        node = node.get(name) if isinstance(node, dict) else None
    if not isinstance(node, dict) or last not in node or isinstance(node[last], dict) or isinstance(value, Mapping):
        return False
    if isinstance(value, str) and "$" in value:
        return False  # an interpolation, for Hydra to resolve
    node[last] = value
    return True


def sweep_jobs(study: Study, overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of every run of a sweep: the study's points, with the axes that the overrides give in their place.

    Raises:
        ConfigError: several studies at once.
    """
    read = [(text, parsed(text)) for text in overrides]
    # What is not a plain `axis=value` (added or deleted keys) goes to every run as it was typed.
    as_typed = [text for text, override in read if not _is_plain(override)]
    axes = {override.key_or_group: _values(override) for _, override in read if _is_plain(override)}
    chosen = axes.pop("study", [])
    if len(chosen) > 1:
        raise ConfigError(f"study takes one name at a time; got {', '.join(map(str, chosen))}")
    study_choice = [f"study={name}" for name in chosen]
    return [[*study_choice, *texts, *as_typed] for texts in overrides_of(study.points(axes))]


def _is_plain(override: Override) -> bool:
    return not (override.is_add() or override.is_force_add() or override.is_delete() or override.package)


def _values(override: Override) -> list[Any]:
    """The values that a user gave an axis: one, or the elements of a sweep (which come as override text)."""
    if not override.is_sweep_override():
        return [override.value()]
    return [parsed(f"x={item}").value() if isinstance(item, str) else item for item in override.sweep_iterator()]


@contextmanager
def composer() -> Iterator[Composer]:
    """A composer outside a Hydra run, for sub-commands."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3", job_name="reinit-bench"):
        yield Composer(GlobalHydra.instance().config_loader())
