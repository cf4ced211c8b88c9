"""Settings: frozen dataclasses whose fields state their allowed values once.

Every part of an experiment that a user can configure (a trainer, a method, a model, a dataset) is a subclass of
`Settings`. A field declared with `setting` carries its range or its choices; the constructor checks them and says in
one line what was wrong and what is allowed.
"""

from __future__ import annotations

import math
import operator
import types
import typing
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import import_module
from typing import Any, ClassVar

from reinit_bench.core.source import source_hash

OUTSIDE_IDENTITY = "outside_identity"
SOURCE = "_source_"
CONTENT = "_content_"


class ConfigError(ValueError):
    """The user's input is wrong; the message says in one line what is wrong and what is allowed."""


def setting(
    default: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
    choices: Sequence[str] | None = None,
    **metadata: Any,
) -> Any:
    """A dataclass field with its allowed values.

    `above` and `below` are exclusive bounds, `least` and `most` inclusive ones. A field with bounds and choices takes
    a number or one of the choices (its type is `int | str` or `float | str`). Further keywords are kept as metadata:
    `outside_identity=True` keeps the field out of the run id.
    """
    limits = {"above": above, "least": least, "below": below, "most": most}
    return field(
        default=default,
        metadata={
            "limits": {name: bound for name, bound in limits.items() if bound is not None},
            "choices": choices,
            **metadata,
        },
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of everything configurable; checks each field's type and range on construction.

    Raises:
        ConfigError: a value has the wrong type or lies outside its range.
    """

    section: ClassVar[str] = ""

    def __post_init__(self) -> None:
        hints = _hints(type(self))  # type: ignore[arg-type]
        for spec in fields(self):
            label = f"{self.section}.{spec.name}" if self.section else spec.name
            value = checked(label, getattr(self, spec.name), hints[spec.name], spec.metadata)
            object.__setattr__(self, spec.name, value)


_LIMITS = {"above": operator.gt, "least": operator.ge, "below": operator.lt, "most": operator.le}


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """The types of a class's fields, computed once: a plan of thousands of runs needs them thousands of times."""
    return typing.get_type_hints(kind)


@cache
def _kinds(hint: Any) -> tuple[Any, ...]:
    """The types that a hint allows."""
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def checked(label: str, value: Any, hint: Any, metadata: Mapping[str, Any]) -> Any:
    """Return `value` as the type `hint` names, or raise `ConfigError` with one clear line."""
    kinds = _kinds(hint)
    if value is None and type(None) in kinds:
        return None
    kind = next(k for k in kinds if k is not type(None))
    choices, limits = metadata.get("choices") or (), metadata.get("limits", {})
    if value in choices:
        return value
    if choices and not limits:
        raise ConfigError(f"{label} must be one of {', '.join(map(str, choices))}; got {value!r}")
    if kind not in (bool, int, float, str):
        return value
    converted = _converted(value, kind)
    if converted is None or not _within(converted, limits):
        allowed = " or ".join([_describe(kind, limits), *choices]) + (" (or null)" if type(None) in kinds else "")
        raise ConfigError(f"{label} must be {allowed}; got {value!r}{_text_hint(value, kind)}")
    return converted


def _text_hint(value: Any, kind: type) -> str:
    """What to do about a number that came as text, as from an environment variable."""
    if kind is str or not isinstance(value, str):
        return ""
    with suppress(ValueError):
        float(value)
        return " (text; of a variable: '${oc.decode:${oc.env:NAME}}')"
    return ""


def _converted(value: Any, kind: type) -> Any:
    """`value` as `kind`, or None if it is not one: no silent truncation, no string taken for a number."""
    if kind is bool or kind is str:
        return value if isinstance(value, kind) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    if kind is int:
        return int(value) if float(value).is_integer() else None
    return float(value)


def _within(value: Any, limits: Mapping[str, float]) -> bool:
    return all(_LIMITS[name](value, bound) for name, bound in limits.items())


def _describe(kind: type, limits: Mapping[str, float]) -> str:
    noun = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[kind]
    words = {"above": "above", "least": "of at least", "below": "below", "most": "at most"}
    return " ".join([noun, " and ".join(f"{words[name]} {bound:g}" for name, bound in limits.items())]).strip()


def instantiate(section: Mapping[str, Any], kind: str) -> Any:
    """Build the object that a section of the configuration describes.

    `section["_target_"]` names the class; `name` and the keys that begin with an underscore describe the section and
    are not passed on. `kind` (`method`, `model`, ...) is used in messages.

    Raises:
        ConfigError: the target cannot be imported, or a key is not one of its fields.
    """
    target = section.get("_target_")
    if not isinstance(target, str) or "." not in target:
        raise ConfigError(f"{kind} has no _target_ naming its class (package.module.Class); got {target!r}")
    module, _, attribute = target.rpartition(".")
    try:
        if section.get(SOURCE) not in (None, source_hash(target), target):
            raise ConfigError(
                f"{kind} {section.get('name')}: the code of {target} has changed since the run was planned; type the "
                "command again to plan it with the code as it is now"
            )
        build = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{kind}: cannot import {target}: {error}") from error
    allowed = [spec.name for spec in fields(build)]
    values = {key: value for key, value in section.items() if key != "name" and not key.startswith("_")}
    unknown = sorted(set(values) - set(allowed))
    if unknown:
        fields_text = f"its fields are {', '.join(allowed)}" if allowed else "it has none"
        raise ConfigError(f"{kind} {section.get('name')} has no field {unknown[0]!r}; {fields_text}")
    return build(**values)
