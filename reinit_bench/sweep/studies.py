"""Studies: unions of grids with exclusions, narrowed or widened on the command line and expanded to experiments."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reinit_bench.core.settings import ConfigError
from reinit_bench.sweep.trials import SEED, Candidates, Least, Point

if TYPE_CHECKING:
    from reinit_bench.analysis.stats.sequential import Rule

ReadStudy = Callable[[str], Mapping[str, Any]]
"""Returns the section of another study by name; raises ConfigError if there is none."""

_BARE = re.compile(r"(?!(?:null|true|false|nan|inf)$)[a-z][a-z0-9_.]*", re.IGNORECASE)
"""Text that needs no quotes in Hydra's grammar."""

_KEYS = ("name", "include", "axes", "grids", "exclude", "tuning_seeds", "sequential", "analysis")
_TUNE, _GROW = "tune", "grow"
_LEAST, _TRAIN_ACCURACY = "least", "train_accuracy"
_SAME_AS = "same_as"
_WHERE = ("results_dir", "device", "compile", "compiled_layers", "logger", "diagnostics")


@dataclass(frozen=True)
class SameAs:
    """The value of an axis that follows another one, whatever value that has in a point: `{same_as: seed}`."""

    axis: str


@dataclass(frozen=True, kw_only=True)
class Study:
    """A named union of grids.

    Attributes:
        grids: each maps an axis (a group, or a field by its path) to one value or a list of values; a grid's points are
            the product of its axes. The values of an axis may be `{tune: [...]}`, to be chosen by validation accuracy
            (`sweep.trials`), or `{same_as: AXIS}`: `dataset.split_seed: {same_as: seed}` gives each seed its own split.
        exclude: points to leave out: those that match every axis of any of these.
        include: other studies whose points are added to this one's; their own exclusions apply to them as well.
        axes: axes that replace, or are added to, those of every grid, including the grids of included studies.
        tuning_seeds: the seeds of the trials that choose; no other run may have them.
        rule: of a sequential study, whose looks say which seeds it has (`sweep.looks`).
        analysis: what is said of its runs, and how. A study that states it is sealed: a hash of all of its parts stands
            in every result that it trains (`core.config.seal`), and no axis can be given on the command line.
    """

    name: str | None
    grids: Sequence[Mapping[str, Any]]
    exclude: Sequence[Mapping[str, Any]] = ()
    include: Sequence[Study] = ()
    axes: Mapping[str, Any]
    tuning_seeds: Sequence[int] = ()
    rule: Rule | None = None
    analysis: Any = None

    @classmethod
    def from_dict(cls, section: Mapping[str, Any], read: ReadStudy, within: tuple[str, ...] = ()) -> Study:
        """A study as written in conf/study; `read` returns the studies that it includes.

        Raises:
            ConfigError: it is malformed, or includes itself.
        """
        name = section.get("name")
        _check_form(section, f"study {name}")
        within = (*within, str(name))
        included = []
        for other in section.get("include") or []:
            if other in within:
                raise ConfigError(f"study {name}: it includes itself ({' -> '.join((*within, other))})")
            included.append(cls.from_dict(read(other), read, within))
        return cls(
            name=name,
            grids=section.get("grids") or [],
            exclude=section.get("exclude") or [],
            include=included,
            axes=section.get("axes") or {},
            tuning_seeds=section.get("tuning_seeds") or (),
            rule=_rule_of(section, f"study {name}"),
            analysis=section.get("analysis"),
        )

    def points(self, replaced: Mapping[str, Sequence[Any]] | None = None) -> list[Point]:
        """Every distinct point, in order of first appearance.

        Args:
            replaced: axes given on the command line, with their values: they replace an axis of every grid, or add one.

        Raises:
            ConfigError: a point that is to be tuned has a seed of the trials, or no value of an axis that another one
                follows; an exclusion leaves nothing out.
        """
        self._check_sealed(replaced or {})
        self._check_exclusions(replaced or {})
        seen: dict[tuple[tuple[str, str], ...], Point] = {}
        for point in self._all_points(replaced or {}):
            seen.setdefault(tuple(sorted((axis, repr(value)) for axis, value in point.items())), point)
        return list(seen.values())

    @property
    def is_one_run(self) -> bool:
        """Whether there is nothing to expand, so that a single run need not treat it as a study."""
        return not self.include and not self.axes and all(not grid for grid in self.grids)

    def _all_points(self, replaced: Mapping[str, Sequence[Any]]) -> Iterator[Point]:
        """The points of the included studies and of this study's grids, perhaps with repetitions."""
        replaced = {**{axis: self._values(values) for axis, values in self.axes.items()}, **replaced}
        for study in self.include:
            yield from (point for point in study._all_points(replaced) if not self._excluded(point))
        for grid in self.grids:
            axes = {axis: self._values(values) for axis, values in grid.items()}
            axes |= {SEED: [0]} if self.rule else {}  # its looks say which
            axes.update({axis: list(values) for axis, values in replaced.items()})
            for values in itertools.product(*axes.values()):
                point = dict(zip(axes, values, strict=True))
                if not self._excluded(point):
                    self._check_seed(point)
                    self._check_followed(point)
                    yield point

    def _check_exclusions(self, replaced: Mapping[str, Sequence[Any]]) -> None:
        """Raise ConfigError if an exclusion matches no point, neither of the study nor with the axes of a user."""
        whole = replace(self, exclude=[])
        points = [*whole._all_points({}), *(whole._all_points(replaced) if replaced else [])] if self.exclude else []
        for rule in self.exclude:
            if not any(_matches(rule, point) for point in points):
                axes = sorted({axis for point in points for axis in point})
                raise ConfigError(
                    f"study {self.name}: exclude {dict(rule)} leaves nothing out: no point has these values "
                    f"(its axes are {', '.join(axes)})"
                )

    def _check_sealed(self, replaced: Mapping[str, Sequence[Any]]) -> None:
        """Raise ConfigError if the command line changes more of a sealed study than where and how it runs."""
        changed = sorted(axis for axis in replaced if axis.partition(".")[0] not in _WHERE)
        if self.analysis and changed:
            raise ConfigError(
                f"study {self.name} is sealed by its analysis: {changed[0]} cannot be changed; copy its file into a "
                "folder of yours (--config-dir) under another name"
            )

    def all_axes(self) -> Iterator[tuple[str, list[Any]]]:
        """Every axis of this study's grids and of those that it includes, with its values, tuned ones too."""
        for axis, values in itertools.chain(self.axes.items(), *(grid.items() for grid in self.grids)):
            yield axis, _values_of(values)
        for study in self.include:
            yield from study.all_axes()

    def _values(self, values: Any) -> list[Any]:
        if _is_tune(values):
            return [Candidates(tuple(values[_TUNE]), tuple(self.tuning_seeds), tuple(values.get(_GROW, ())))]
        if _is_least(values):
            return [Least(tuple(values[_LEAST]), float(values[_TRAIN_ACCURACY]))]
        if _is_same_as(values):
            return [SameAs(values[_SAME_AS])]
        return _as_list(values)

    def _check_seed(self, point: Point) -> None:
        tuned = any(isinstance(value, Candidates) for value in point.values())
        if tuned and point.get(SEED, 0) in self.tuning_seeds:
            raise ConfigError(
                f"study {self.name}: seed {point.get(SEED, 0)} is one of its tuning_seeds, which choose the settings; "
                "the runs that are reported need others"
            )

    def _check_followed(self, point: Point) -> None:
        for axis, value in point.items():
            if isinstance(value, SameAs) and not isinstance(point.get(value.axis), (int, float, str)):
                raise ConfigError(
                    f"study {self.name}: {axis} is the same as {value.axis!r}, which must be an axis of plain values in"
                    f" every grid that says so; the grid has {', '.join(sorted(point))}"
                )

    def _excluded(self, point: Point) -> bool:
        return any(_matches(rule, point) for rule in self.exclude)


def _matches(rule: Mapping[str, Any], point: Point) -> bool:
    return all(axis in point and point[axis] in _as_list(values) for axis, values in rule.items())


def _check_form(section: Mapping[str, Any], label: str) -> None:
    """Raise ConfigError if a section is not a valid study."""
    unknown = sorted(key for key in section if key not in _KEYS and not key.startswith("_"))
    if unknown:
        raise ConfigError(f"{label} has an unknown key {unknown[0]!r}; allowed are {', '.join(_KEYS)}")
    for key in ("grids", "exclude"):
        items = section.get(key) or []
        if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
            raise ConfigError(f"{label}: {key} must be a list of mappings from an axis to values; got {items!r}")
    include, axes = section.get("include") or [], section.get("axes") or {}
    if not isinstance(include, list) or not all(isinstance(item, str) for item in include):
        raise ConfigError(f"{label}: include must be a list of names of studies; got {include!r}")
    if not isinstance(axes, Mapping):
        raise ConfigError(f"{label}: axes must map an axis to values; got {axes!r}")
    if not include and not section.get("grids"):
        raise ConfigError(f"{label} has no grids: it needs some, or studies to include")
    points = [axes, *(section.get("grids") or [])]
    for mapping in (*points, *(section.get("exclude") or [])):
        for axis, values in mapping.items():
            if values == []:
                raise ConfigError(f"{label}: axis {axis!r} has no values")
            if mapping in points and _is_tune(values):
                _check_tuning(section, axis, values[_TUNE], values.get(_GROW, ()), label)
            elif mapping in points and (_is_same_as(values) or ("sequential" in section and _is_least(values))):
                continue
            elif any(isinstance(value, Mapping) for value in _as_list(values)):
                raise ConfigError(f"{label}: axis {axis!r} must have plain values; write a field as {axis}.FIELD")


def _is_tune(values: Any) -> bool:
    return isinstance(values, Mapping) and set(values) in ({_TUNE}, {_TUNE, _GROW})


def _is_least(values: Any) -> bool:
    return isinstance(values, Mapping) and set(values) == {_LEAST, _TRAIN_ACCURACY}


def _is_same_as(values: Any) -> bool:
    return isinstance(values, Mapping) and set(values) == {_SAME_AS} and isinstance(values[_SAME_AS], str)


def _values_of(values: Any) -> list[Any]:
    """What is written of an axis, as a list; nothing of one that follows another."""
    if _is_least(values):
        return list(values[_LEAST])
    return [] if _is_same_as(values) else _as_list(values[_TUNE] if _is_tune(values) else values)


def _check_tuning(section: Mapping[str, Any], axis: str, values: Any, grow: Sequence[Any], label: str) -> None:
    if not isinstance(values, list) or not values or any(isinstance(value, Mapping) for value in values):
        raise ConfigError(f"{label}: axis {axis!r} must be tuned over a list of values; got {values!r}")
    if axis == SEED:
        raise ConfigError(f"{label}: the seed cannot be tuned")
    if grow and ("sequential" not in section or len(grow) != 2):
        raise ConfigError(f"{label}: axis {axis!r}: grow must be the two values beyond the ends, in a sequential study")
    seeds = section.get("tuning_seeds")
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise ConfigError(
            f"{label}: axis {axis!r} is tuned, so tuning_seeds must be a list of seeds, e.g. [100]; got {seeds!r}"
        )


def _rule_of(section: Mapping[str, Any], label: str) -> Rule | None:
    """The `sequential:` part of a study.

    Raises:
        ConfigError: it is malformed, or the study says itself which seeds it has, or includes others.
    """
    if "sequential" not in section:
        return None
    from reinit_bench.analysis.stats.sequential import Rule  # numpy: only sequential studies wait for it

    rule, seeds = Rule.from_dict(section["sequential"], label), section.get("tuning_seeds") or ()
    if section.get("include") or any(SEED in grid for grid in section.get("grids") or []):
        raise ConfigError(f"{label}: it is sequential, so that its looks say which seeds it has, and it includes none")
    if any(seed < rule.looks[-1] for seed in seeds):
        raise ConfigError(f"{label}: tuning_seeds must be from {rule.looks[-1]} on: its looks take those below")
    return rule


def _as_list(values: Any) -> list[Any]:
    return list(values) if isinstance(values, (list, tuple)) else [values]


def overrides_of(points: Iterable[Point]) -> list[list[str]]:
    """Points as Hydra overrides; groups before fields, so that a field is set in the chosen option."""

    def value(point: Point, axis: str) -> Any:
        return point[point[axis].axis] if isinstance(point[axis], SameAs) else point[axis]

    return [
        [f"{axis}={override_text(value(point, axis))}" for axis in sorted(point, key=lambda axis: "." in axis)]
        for point in points
    ]


def override_text(value: Any) -> str:
    """A value as Hydra's grammar writes it: null, true, numbers, lists, mappings, and text, quoted if needed."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(override_text(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{override_text(key)}:{override_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str) and not _BARE.fullmatch(value):
        return quoted(value)
    return str(value)


def quoted(text: str) -> str:
    """Text in quotes, as Hydra's grammar reads them: a backslash counts as such unless it stands before a quote."""
    escaped = re.sub(r"(\\*)(?=\'|$)", r"\1\1", text).replace("'", "\\'")
    return f"'{escaped}'"
