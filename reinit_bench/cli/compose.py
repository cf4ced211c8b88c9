"""From what a user types to resolved configurations: with `main` and the plugins, the only code that knows Hydra."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, NamedTuple, cast

import hydra
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString
from hydra.errors import OverrideParseException
from hydra.types import RunMode
from omegaconf import OmegaConf

from reinit_bench.analysis.stats.tuning import DIVERGED
from reinit_bench.core.conf_dir import CONFIG_NAME, conf_dir, conf_dirs, config_name
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.content import forget
from reinit_bench.store.reader import result_and_status
from reinit_bench.store.store import Store
from reinit_bench.sweep.plan import PlannedRun
from reinit_bench.sweep.studies import Study, overrides_of
from reinit_bench.sweep.trials import Found, Point, tuned

VERSION_BASE = {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}
"""For Hydra's functions: version 1.3 warns without it, and 1.4 with it."""

LAUNCHER = ("hydra/launcher=", "hydra.launcher.")
"""How words begin that say where a sweep runs, not what it runs."""

_ELSEWHERE = re.compile(r"\$\{(?:\.\.|[^.:}][^:}]*\})")
"""An interpolation that takes a value from outside its section: `${trainer.lr}`, `${..name}`."""


@cache
def parsed(text: str) -> Override:
    """One override, parsed by Hydra's grammar."""
    override: Override = OverridesParser.create().parse_overrides([text])[0]
    return override


@cache
def _assignment(text: str) -> tuple[str, Any, bool]:
    """The key and the value of one override, and whether it says no more than these."""
    override = parsed(text)
    return str(override.key_or_group), override.value(), is_plain(override)


def is_plain(override: Override) -> bool:
    """Whether it sets what is there already: it neither adds nor deletes, and names no package."""
    return not (override.is_add() or override.is_force_add() or override.is_delete() or override.package)


class Jobs(list[list[str]]):
    """The overrides of every run of a sweep, as far as they are known.

    Attributes:
        waiting: how many runs of a tuned study follow when their trials have ended; of a sequential one at most.
        least, most: of a sequential study, the runs that it has in all, if it ends as early or as late as it may.
    """

    def __init__(
        self,
        overrides: Iterable[list[str]],
        waiting: int,
        least: Sequence[list[str]] = (),
        most: Sequence[list[str]] = (),
    ) -> None:
        super().__init__(overrides)
        self.waiting, self.least, self.most = waiting, least, most

    @property
    def is_sequential(self) -> bool:
        """Whether they are of a sequential study."""
        return bool(self.most)


class _Composed(NamedTuple):
    """What Hydra composed: which top-level keys hold interpolations, and whether all of these stay in their section."""

    config: dict[str, Any]
    linked: frozenset[str]
    is_exact: bool


class Composer:
    """Composes many configurations quickly, each equal to what Hydra itself would compose.

    Hydra takes 60 ms for a configuration. But most options are a section and nothing else, so their files are read
    once, and fields are set afterwards. Hydra alone composes what does not fit this scheme: options that change other
    sections, with the options chosen for these; values taken from other fields; added and deleted keys.
    """

    def __init__(self, loader: ConfigLoader, config_name: str) -> None:
        forget()  # data may have changed since the last composer read them
        self.loader = loader
        self.config_name = config_name
        self.groups = {name for name in loader.list_groups("") if name != "hydra"}
        self._composed = cache(self._load)
        self._section = cache(_section_of)
        self._reached = cache(self._changed_by)

    def compose(self, overrides: Sequence[str]) -> dict[str, Any]:
        """The resolved configuration, without Hydra's own node, as plain dicts; read-only, since sections are shared.

        Raises:
            hydra.errors.HydraException: an override names no group, option or field.
        """
        choices: dict[str, str] = {}
        fields: dict[str, tuple[str, Any]] = {}
        for text in overrides:
            key, value, plain = _assignment(text)
            if not plain or (key in self.groups and not isinstance(value, str)):
                return self.by_hydra(overrides)
            if key in self.groups:
                choices[key] = value
            elif not key.startswith("hydra"):
                fields[text] = key, value
        alone = {group: found for group, option in choices.items() if (found := self._section(group, option))}
        reached = self._reached(tuple(f"{group}={choices[group]}" for group in sorted(choices.keys() - alone.keys())))
        alone = {group: section for group, section in alone.items() if group not in reached}
        together = [f"{group}={choices[group]}" for group in sorted(choices.keys() - alone.keys())]
        linked = self._composed(*together).linked
        found = self._composed(*together, *(text for text, (key, _) in fields.items() if key.split(".")[0] in linked))
        config = {**found.config, **alone}
        is_exact = found.is_exact and alone.keys() <= found.config.keys()
        if is_exact and all(_set(config, key, value) for key, value in fields.values()):
            return config
        return self.by_hydra(overrides)

    def by_hydra(self, overrides: Sequence[str]) -> dict[str, Any]:
        """Like `compose`, but by Hydra alone."""
        return self._load(*overrides).config

    def launcher(self, overrides: Sequence[str]) -> dict[str, Any]:
        """The section of the launcher that a sweep with these overrides goes through, `_target_` included.

        Raises:
            hydra.errors.HydraException: an override names no launcher, or no field of it.
        """
        chosen = [text for text in overrides if text.startswith(LAUNCHER)]
        config = self.loader.load_configuration(self.config_name, chosen, run_mode=RunMode.MULTIRUN)
        return cast(dict[str, Any], OmegaConf.to_container(config.hydra.launcher, resolve=True))

    def planned(self, jobs: Iterable[Sequence[str]]) -> Iterator[PlannedRun]:
        """The runs that these jobs' overrides describe; their states are not looked up yet.

        Raises:
            ConfigError: a configuration is not valid.
        """
        for overrides in jobs:
            yield PlannedRun.from_dict(self.compose(overrides))

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
            override = parsed(text)
            override.config_loader = self.loader  # for glob(*)
            if override.key_or_group == "study":
                study_choice = [text]
            elif override.is_delete() or override.package or (override.is_add() and not override.is_sweep_override()):
                as_typed.append(text)  # passed to every run
            else:
                axes[text.partition("=")[0]] = _values(override)
        _check_names(study, self.groups)

        def words(points: Iterable[Point]) -> list[list[str]]:
            return [[*study_choice, *texts, *as_typed] for texts in overrides_of(points)]

        begun = cache(lambda results_dir: frozenset(Store(results_dir).run_ids()))

        @cache
        def result_of(point_words: tuple[str, ...]) -> Found | None:
            (run,) = self.planned([point_words])
            return _found(run) if run.run_id in begun(run.execution.results_dir) else None

        def of_point(point: Point) -> Found | None:
            return result_of(tuple(words([point])[0]))

        points = study.points(axes)
        if study.rule is None:
            found = tuned(points, lambda trial: (one := of_point(trial)) and one.validation)
            return Jobs(words(found.points), found.waiting)
        from reinit_bench.sweep.looks import looks  # numpy: only sequential studies wait for it

        follow = partial(looks, points, study.rule, study.tuning_seeds, of_point)
        known, is_open = follow()
        least, most = follow("least")[0], follow("most")[0]
        return Jobs(words(known), len(most) - len(known) if is_open else 0, words(least), words(most))

    def study_of(self, overrides: Sequence[str]) -> Study:
        """The study that the overrides choose; without one, a study of a single empty grid.

        Raises:
            ConfigError: there is no such study, it is malformed, or there are several at once.
        """
        chosen = [text for text in overrides if parsed(text).key_or_group == "study"]
        name = parsed(chosen[0]).value() if chosen else "none"
        if len(chosen) > 1 or not isinstance(name, str):
            raise ConfigError(f"study must be a single name; got {' '.join(chosen)}")

        def section(name: str) -> Mapping[str, Any]:
            found = self.compose([f"study={name}"]).get("study")
            if not isinstance(found, Mapping) or not found:
                raise ConfigError(f"study {name}: its file is empty; it needs a name and grids")
            return found

        return Study.from_dict(section(name), section)

    def _changed_by(self, chosen: tuple[str, ...]) -> set[str]:
        """The groups whose sections these options change or mention: these might be set to what they are by default."""
        found, base = self._composed(*chosen).config, self._composed().config
        paths = [folder / f"{text.replace('=', '/')}.yaml" for folder in conf_dirs() for text in chosen]
        text = "\n".join(path.read_text(encoding="utf-8") for path in paths if path.is_file())
        return {
            group
            for group in self.groups
            if found.get(group) != base.get(group) or re.search(rf"^[^#]*\b{group}\b", text, re.MULTILINE)
        }

    def _load(self, *overrides: str) -> _Composed:
        config = self.loader.load_configuration(self.config_name, list(overrides), run_mode=RunMode.RUN)
        own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        written = cast(dict[str, Any], OmegaConf.to_container(own, resolve=False))
        linked = frozenset(key for key, value in written.items() if "${" in str(value))
        is_exact = not any(_ELSEWHERE.search(str(written[key])) for key in linked)
        return _Composed(cast(dict[str, Any], OmegaConf.to_container(own, resolve=True)), linked, is_exact)


def _section_of(group: str, option: str) -> Any:
    """The section that an option's file is; None if the file is more than that, or something is laid upon it."""
    files = [file for folder in conf_dirs() if (file := folder / group / f"{option}.yaml").is_file()]
    text = files[0].read_text(encoding="utf-8") if len(files) == 1 and config_name() == CONFIG_NAME else ""
    if not text or re.search(r"@package|^defaults:|\$\{", text, re.MULTILINE):
        return None
    return OmegaConf.to_container(OmegaConf.create(text))


def _check_names(study: Study, groups: set[str]) -> None:
    """Raise ConfigError if an axis that is a group has other values than names: YAML reads `no` as false."""
    for axis, values in study.all_axes():
        wrong = [value for value in values if not isinstance(value, str | None)]
        if axis in groups and wrong:
            raise ConfigError(
                f"study {study.name}: {axis} must have names; got {wrong[0]!r} (YAML reads no, off, yes and on as "
                "truth values and digits as numbers: put quotes around such names)"
            )


def _found(run: PlannedRun) -> Found | None:
    """What a run of the results folder ended with; None: it has not ended."""
    folder = Store(run.execution.results_dir).run(run.run_id)
    result, status = result_and_status(folder)
    if result is None:
        has_diverged = (status.get("state"), status.get("error_kind")) == ("failed", "Diverged")
        return Found(DIVERGED) if has_diverged else None
    if result["validation_accuracy"] is None and run.execution.trial:
        raise ConfigError(
            f"settings are tuned by validation accuracy, and {run.experiment.title} has no validation split; "
            "set trainer.validation_fraction or dataset.validation_examples"
        )
    return Found(*(float(result[f"{split}_accuracy"] or 0) for split in ("validation", "train", "test")))


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
    that are not axes. A default need not have such a field: only the options that are swept over need it. An axis of
    one value is written `value,value`, which a study takes for one point.
    """
    return [_as_axis(word) for word in words]


def _as_axis(word: str) -> str:
    key, equals, value = word.partition("=")
    if word.startswith("-") or not equals or "." not in key or key.startswith("hydra."):
        return word
    try:
        override = parsed(word)
    except OverrideParseException:
        return word  # left to Hydra to reject
    return f"{word},{value}" if is_plain(override) and not override.is_sweep_override() else word


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

    It composes the same configuration as a run with the same `--config-dir` and `--config-name`.
    """
    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
            yield Composer(GlobalHydra.instance().config_loader(), config_name())
    finally:
        GlobalHydra.instance().hydra = before  # fetched again: Hydra has replaced the instance
