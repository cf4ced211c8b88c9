"""Studies: a union of grids with exclusions, narrowed or widened from the command line, expanded to experiments."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reinit_bench.settings import ConfigError

Point = dict[str, Any]
"""One run's place in a study: a group's option or a field's value for each axis."""

_KEYS = {"name", "grids", "exclude"}


@dataclass(frozen=True, kw_only=True)
class Study:
    """A named union of grids.

    Attributes:
        grids: each maps an axis (a group, or a field by its path) to one value or a list of values; a grid's points are
            the product of its axes.
        exclude: points to leave out: those that agree with every axis of one of these.
    """

    name: str | None
    grids: Sequence[Mapping[str, Any]]
    exclude: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def from_dict(cls, section: Mapping[str, Any]) -> Study:
        """A study as written in conf/study.

        Raises:
            ConfigError: it is malformed.
        """
        label = f"study {section.get('name')}"
        unknown = sorted(key for key in section if key not in _KEYS and not key.startswith("_"))
        if unknown:
            raise ConfigError(f"{label} has an unknown key {unknown[0]!r}; allowed are {', '.join(sorted(_KEYS))}")
        for key in ("grids", "exclude"):
            items = section.get(key, [])
            if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
                raise ConfigError(f"{label}: {key} must be a list of mappings from an axis to values; got {items!r}")
        grids = section.get("grids") or [{}]
        empty = [axis for grid in grids for axis, values in grid.items() if values == []]
        if empty:
            raise ConfigError(f"{label}: axis {empty[0]!r} has no values")
        return cls(name=section.get("name"), grids=grids, exclude=section.get("exclude") or [])

    def points(self, replaced: Mapping[str, Sequence[Any]] | None = None) -> list[Point]:
        """Every distinct point, in order of first appearance.

        Args:
            replaced: axes given on the command line, with their values: they replace an axis of every grid, or add one.
        """
        seen: dict[tuple[tuple[str, str], ...], Point] = {}
        for grid in self.grids:
            axes = {axis: _as_list(values) for axis, values in grid.items()}
            axes.update({axis: list(values) for axis, values in (replaced or {}).items()})
            for values in itertools.product(*axes.values()):
                point = dict(zip(axes, values, strict=True))
                if not self._excluded(point):
                    seen.setdefault(tuple(sorted((axis, repr(value)) for axis, value in point.items())), point)
        return list(seen.values())

    def _excluded(self, point: Point) -> bool:
        return any(
            all(axis in point and point[axis] in _as_list(values) for axis, values in rule.items())
            for rule in self.exclude
        )


def _as_list(values: Any) -> list[Any]:
    return list(values) if isinstance(values, (list, tuple)) else [values]


def overrides_of(points: Iterable[Point]) -> list[list[str]]:
    """Points as Hydra's overrides; groups before fields, so that a field is set in the option that was chosen."""
    return [
        [f"{axis}={override_text(point[axis])}" for axis in sorted(point, key=lambda axis: "." in axis)]
        for point in points
    ]


def override_text(value: Any) -> str:
    """A value as Hydra's grammar writes it: null, true, numbers, lists, and strings quoted where they must be."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(override_text(item) for item in value) + "]"
    if isinstance(value, str) and not value.replace("_", "").replace(".", "").isalnum():
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return str(value)
