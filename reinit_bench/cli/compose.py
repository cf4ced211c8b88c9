"""From what a user types to resolved configurations: with `main` and the plugins, the only code that knows Hydra."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString
from hydra.errors import OverrideParseException
from hydra.types import RunMode
from omegaconf import OmegaConf

from reinit_bench.core.conf_dir import CONFIG_NAME, conf_dir, conf_dirs, config_name, on_base
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.folder_scan import folder_content
from reinit_bench.store.store import CorruptResult, Store
from reinit_bench.sweep.plan import PlannedRun
from reinit_bench.sweep.studies import Study, overrides_of
from reinit_bench.sweep.tuning import DIVERGED, Point, tuned

# A folder of images is identified by its content, which conf/dataset/image_folder.yaml asks for.
OmegaConf.register_new_resolver("folder_content", folder_content, replace=True)
# Data that TensorFlow Datasets prepared too, for conf/dataset/tfds.yaml: `_parent_` is the section.
OmegaConf.register_new_resolver("tfds_content", lambda _parent_: _prepared_content(_parent_), replace=True)


def _prepared_content(section: Mapping[str, Any]) -> str | None:
    from reinit_bench.data.tfds_by_name import prepared_content  # loads numpy, which nothing else here needs

    return prepared_content(section)


LAUNCHER = ("hydra/launcher=", "hydra.launcher.")
"""How words begin that say where a sweep runs, not what it runs."""

_GLOBAL = "dataset"
"""The group whose options may set fields outside their section, such as the image size."""


@cache
def parsed(text: str) -> Override:
    """One override, parsed by Hydra's grammar."""
    override: Override = OverridesParser.create().parse_overrides([text])[0]
    return override


@cache
def _assignment(text: str) -> tuple[str, Any, bool]:
    """The key and the value of one override, and whether it says no more than these."""
    override = parsed(text)
    return str(override.key_or_group), override.value(), _is_plain(override)


class Jobs(list[list[str]]):
    """The overrides of every run of a sweep, as far as they are known.

    Attributes:
        waiting: how many runs of a tuned study follow when their trials have ended.
    """

    def __init__(self, overrides: Iterable[list[str]], waiting: int) -> None:
        super().__init__(overrides)
        self.waiting = waiting


class Composer:
    """Composes many configurations quickly, each equal to what Hydra itself would compose.

    Hydra parses and copies every group file for every configuration. But an option whose file has no defaults list
    contributes exactly what the file says, so each file is read once and the sections are put together on a base that
    Hydra composed. Whatever does not fit this scheme (an option with defaults, added or deleted keys, values taken from
    other fields) is composed by Hydra alone.
    """

    def __init__(self, loader: ConfigLoader, config_name: str = CONFIG_NAME) -> None:
        folder_content.cache_clear()  # a folder may have changed since the last composer read it
        self.loader = loader
        self.config_name = config_name
        self.groups = {name for name in loader.list_groups("") if name != "hydra"}
        self._by_hydra: dict[tuple[str, ...], dict[str, Any]] = {}
        self._files: dict[tuple[str, str], _File | None] = {}
        self._bases: dict[tuple[str, ...], dict[str, Any]] = {}
        self._trials: dict[tuple[str, ...], PlannedRun] = {}

    def compose(self, overrides: Sequence[str]) -> dict[str, Any]:
        """The resolved configuration, without Hydra's own node, as plain dicts; read-only, since sections are shared.

        Raises:
            hydra.errors.HydraException: an override names no group, option or field.
        """
        plain = self._assembled(overrides)
        return self.by_hydra(overrides) if plain is None else plain

    def planned(self, jobs: Iterable[Sequence[str]]) -> Iterator[PlannedRun]:
        """The runs that these jobs' overrides describe; their states are not looked up yet.

        Raises:
            ConfigError: a configuration is not valid.
        """
        for overrides in jobs:
            trial = self._trials.pop(tuple(overrides), None)
            yield trial or PlannedRun.from_dict(self.compose(overrides))

    def jobs(self, overrides: Sequence[str]) -> Jobs:
        """The overrides of every run of a sweep: the study's points, with the overrides' axes in place of the study's.

        Of a tuned study, runs whose settings are not chosen yet wait for the trials in the results folder.

        Raises:
            ConfigError: there is no such study, it is malformed, or it tunes without a validation split.
        """
        study = self.study_of(overrides)
        axes: dict[str, list[Any]] = {}
        as_typed, study_choice = [], []
        for text in overrides:
            override = self._parsed(text)
            if override.key_or_group == "study":
                study_choice = [text]
            elif override.is_delete() or override.package or (override.is_add() and not override.is_sweep_override()):
                as_typed.append(text)  # passed to every run
            else:
                axes[_axis_of(override, study)] = _values(override)

        def words(points: Iterable[Point]) -> list[list[str]]:
            return [[*study_choice, *texts, *as_typed] for texts in overrides_of(points)]

        begun = cache(lambda results_dir: frozenset(Store(results_dir).run_ids()))

        def accuracy_of(trial: Point) -> float | None:
            (trial_words,) = words([trial])
            (run,) = self.planned([trial_words])
            self._trials[tuple(trial_words)] = run  # `planned` is asked for it again, with all others
            return _validation_accuracy(run) if run.run_id in begun(run.execution.results_dir) else None

        found = tuned(study.points(axes), accuracy_of)
        return Jobs(words(found.points), found.waiting)

    def datasets(self, overrides: Sequence[str]) -> set[str]:
        """The names of the datasets that a study is about, without composing its runs; perhaps one that it excludes.

        Raises:
            ConfigError: there is no such study, or it is malformed.
        """
        points = self.study_of(overrides).narrowed_to(_GLOBAL).points()
        return {self.compose([*overrides, *words])["dataset"]["name"] for words in overrides_of(points)}

    def _parsed(self, text: str) -> Override:
        """As `parsed`, and it knows which options `glob(*)` is about."""
        override = parsed(text)
        override.config_loader = self.loader
        return override

    def study_of(self, overrides: Sequence[str]) -> Study:
        """The study that the overrides choose; without one, a study of a single empty grid.

        Raises:
            ConfigError: there is no such study, it is malformed, or there are several at once.
        """
        chosen = [text for text in overrides if parsed(text).key_or_group == "study"]
        name = parsed(chosen[0]).value() if chosen else "none"
        if len(chosen) > 1 or not isinstance(name, str):
            raise ConfigError(f"study must be a single name; got {' '.join(chosen)}")
        return Study.from_dict(self._study_section(name), self._study_section)

    def launcher(self, overrides: Sequence[str]) -> dict[str, Any]:
        """The section of the launcher that a sweep with these overrides goes through, `_target_` included.

        Raises:
            hydra.errors.HydraException: an override names no launcher, or no field of it.
        """
        chosen = [text for text in overrides if text.startswith(LAUNCHER)]
        config = self.loader.load_configuration(self.config_name, chosen, run_mode=RunMode.MULTIRUN)
        return cast(dict[str, Any], OmegaConf.to_container(config.hydra.launcher, resolve=True))

    def by_hydra(self, overrides: Sequence[str]) -> dict[str, Any]:
        """Like `compose`, but by Hydra alone."""
        config = self.loader.load_configuration(self.config_name, list(overrides), run_mode=RunMode.RUN)
        plain = OmegaConf.to_container(
            OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"]), resolve=True
        )
        assert isinstance(plain, dict)
        return {str(key): value for key, value in plain.items()}

    def _study_section(self, name: str) -> Mapping[str, Any]:
        file = self._file("study", name)
        if file is None or file.reaches_out:
            section: Mapping[str, Any] = self.by_hydra([f"study={name}"])["study"]
            return section
        return file.content

    def _assembled(self, overrides: Sequence[str]) -> dict[str, Any] | None:
        """The configuration put together from files; None if that would not be exact."""
        choices: dict[str, str] = {}
        values: list[tuple[str, Any]] = []
        for text in overrides:
            key, value, is_plain = _assignment(text)
            if not is_plain:
                return None
            if key in self.groups:
                if not isinstance(value, str):
                    return None
                choices[key] = value
            elif not key.startswith("hydra"):
                values.append((key, value))
        config = self._chosen(choices)
        return config if config is not None and all(_set(config, key, value) for key, value in values) else None

    def _chosen(self, choices: dict[str, str]) -> dict[str, Any] | None:
        """The configuration with these options and no field set by hand; None if only Hydra can compose it."""
        config = self._base(choices.pop(_GLOBAL, None), choices)
        if config is None:
            return None
        for group, option in choices.items():
            file = self._file(group, option)
            if file is None:
                return None
            section = self._one_option(group, option) if file.reaches_out else file.content
            if section is None:
                return None
            config[group] = section
        return config

    def _base(self, dataset: str | None, choices: Mapping[str, str]) -> dict[str, Any] | None:
        """Everything at its default but the dataset, which may set fields outside its section.

        Datasets whose files set the same fields differ only in their values, so one of them is composed for all.
        """
        if dataset is None:
            return dict(self._composed())
        file = self._file(_GLOBAL, dataset)
        if file is None or any(group in file.content for group in choices):
            return None
        if file.has_defaults or file.package != "_global_" or not self._is_flat(file.content):
            return dict(self._composed(f"{_GLOBAL}={dataset}"))
        kind = tuple(sorted(file.content))
        if kind not in self._bases:
            self._bases[kind] = self._composed(f"{_GLOBAL}={dataset}")
        return {**self._bases[kind], **file.content}

    def _is_flat(self, content: Mapping[str, Any]) -> bool:
        """Whether a dataset's file sets nothing but its own section and plain fields."""
        return _GLOBAL in content and not any(isinstance(content[key], dict) for key in content if key != _GLOBAL)

    def _one_option(self, group: str, option: str) -> dict[str, Any] | None:
        """The section of an option with a defaults list; None if the option changes anything outside it."""
        composed, base = self._composed(f"{group}={option}"), self._composed()
        same = {**composed, group: None} == {**base, group: None}
        return composed.get(group) if same else None

    def _composed(self, *overrides: str) -> dict[str, Any]:
        if overrides not in self._by_hydra:
            self._by_hydra[overrides] = self.by_hydra(overrides)
        return self._by_hydra[overrides]

    def _file(self, group: str, option: str) -> _File | None:
        """An option's file; None if there is none, or if it takes values from elsewhere."""
        if (group, option) not in self._files:
            self._files[group, option] = self._read(f"{group}/{option}")
        return self._files[group, option]

    def _read(self, path: str) -> _File | None:
        found = self._stored(path)
        if found is None:
            return None
        content, package = found
        content = on_base(content, lambda base: (self._stored(base) or (None,))[0])
        return None if _interpolates(content) else _File(content, package)

    def _stored(self, path: str) -> tuple[dict[str, Any], str | None] | None:
        """The content of a file and the package that its header names."""
        for source in self.loader.get_sources():
            if source.available() and source.is_config(path):
                found = source.load_config(path)
                content = OmegaConf.to_container(cast(Any, found.config), resolve=False)
                return cast(dict[str, Any], content), found.header.get("package")
        return None


def _validation_accuracy(run: PlannedRun) -> float | None:
    """As `tuning.AccuracyOf`."""
    folder = Store(run.execution.results_dir).run(run.run_id)
    try:
        result = folder.result()
    except CorruptResult:
        return None
    if result is None:
        status = folder.status()
        return DIVERGED if (status.get("state"), status.get("error_kind")) == ("failed", "Diverged") else None
    if result["validation_accuracy"] is None:
        raise ConfigError(
            f"settings are tuned by validation accuracy, and {run.experiment.title} has no validation split; "
            "set trainer.validation_fraction or dataset.validation_examples"
        )
    return float(result["validation_accuracy"])


class _File:
    """The content of an option's file, and whether that is all that the option contributes."""

    def __init__(self, content: dict[str, Any], package: str | None) -> None:
        self.has_defaults = "defaults" in content
        self.content, self.package = content, package

    @property
    def reaches_out(self) -> bool:
        """Whether it builds on other files or sets fields outside its section, so that Hydra must compose it."""
        return self.has_defaults or self.package is not None


def _interpolates(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_interpolates(item) for item in value.values())
    if isinstance(value, list):
        return any(_interpolates(item) for item in value)
    return isinstance(value, str) and "${" in value


def _set(config: dict[str, Any], key: str, value: Any) -> bool:
    """Set an existing field by its dotted path; returns False if there is none or the value is not plain.

    The sections on the way are copied, since other configurations share them.
    """
    *path, last = key.split(".")
    node: Any = config
    for name in path:
        if not isinstance(node.get(name), dict):
            return False
        node[name] = dict(node[name])
        node = node[name]
    if last not in node or isinstance(node[last], dict) or isinstance(value, Mapping):
        return False
    if isinstance(value, str) and "$" in value:
        return False  # an interpolation, for Hydra to resolve
    node[last] = value
    return True


def as_axes(words: Sequence[str]) -> list[str]:
    """A sweep's command line with each field of a section, like `method.selection=network`, as an axis of one value.

    Before any run, Hydra composes a configuration that is no run's: every group at its default, with all fields set
    that are not axes. A default need not have such a field: only the options that are swept over need it.
    """
    return [_as_axis(word) for word in words]


def _as_axis(word: str) -> str:
    key, equals, value = word.partition("=")
    if word.startswith("-") or not equals or "." not in key or key.startswith("hydra.") or "$" in value:
        return word
    try:
        override = parsed(word)
    except OverrideParseException:
        return word  # left to Hydra to reject
    return f"{key}=choice({value})" if _is_plain(override) and not override.is_sweep_override() else word


def _is_plain(override: Override) -> bool:
    return not (override.is_add() or override.is_force_add() or override.is_delete() or override.package)


def _axis_of(override: Override, study: Study) -> str:
    """The axis that an override sets; of a field that need not exist (`++name=`) the study's own, if it has one."""
    key = str(override.key_or_group)
    if override.is_force_add() and not study.has_axis(key):
        return f"++{key}"
    return f"+{key}" if override.is_add() else key


def _values(override: Override) -> list[Any]:
    """The values that a user gave an axis: one, or the elements of a sweep."""
    if not override.is_sweep_override():
        return [override.value()]
    return [_plain(item) for item in override.sweep_iterator()]


def _plain(value: Any) -> Any:
    """A parsed value as Python has it: quoted text is text, whatever it looks like."""
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {_plain(key): _plain(item) for key, item in value.items()} if isinstance(value, dict) else value


@contextmanager
def composer() -> Iterator[Composer]:
    """A composer outside a Hydra run, for sub-commands; a Hydra that the caller has initialized is restored.

    It reads the same folders, and composes the same configuration, as a run with the same `--config-dir` and
    `--config-name`.
    """
    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    path = create_config_search_path(str(conf_dir()))
    for folder in conf_dirs()[:-1]:  # as Hydra itself places --config-dir
        path.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
    try:
        Hydra.create_main_hydra2(task_name="reinit-bench", config_search_path=path)
        yield Composer(GlobalHydra.instance().config_loader(), config_name())
    finally:
        GlobalHydra.instance().clear()
        GlobalHydra.instance().hydra = before  # fetched again: Hydra has replaced the instance
