"""Tables of fields: type, default, allowed values and meaning, from dataclasses and the files in conf/."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from option_files import Option

LIMITS = {"above": "> {:g}", "least": "≥ {:g}", "below": "< {:g}", "most": "≤ {:g}"}
TYPES = {
    "int": "whole number",
    "float": "number",
    "str": "text",
    "bool": "true or false",
    "None": "null",
    "Path": "path",
    "Any": "any",
    "Sequence[int]": "list of whole numbers",
    "dict[str, str]": "mapping of text to text",
}
"""How the types of fields are called; others keep their name."""


@dataclass(frozen=True)
class Field:
    """One row of a table of fields."""

    name: str
    type: str
    default: str
    allowed: str
    meaning: str
    in_run_id: bool

    def row(self) -> str:
        """The row in Markdown."""
        inside = "yes" if self.in_run_id else "no"
        cells = [f"`{self.name}`", self.type, self.default, self.allowed, self.meaning, inside]
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def field_table(fields: Iterable[Field]) -> list[str]:
    """The table of these fields, as lines of Markdown."""
    rows = [field.row() for field in fields]
    head = ["| Field | Type | Default | Allowed | Meaning | In id |", "| --- | --- | --- | --- | --- | --- |"]
    return [*head, *rows] if rows else ["No fields."]


def fields_of(options: Sequence[Option]) -> list[Field]:
    """The fields that options of one class share: those of the class, then what only the files have."""
    first, sections = options[0], [option.section for option in options]
    comments = {key: text for option in reversed(options) for key, text in option.comments.items()}
    outside = {name for section in sections for name in section.get("_outside_identity_", ())}
    prefix = first.group.replace("/", ".")
    never = first.group in ("logger", "hydra/launcher")
    found, known = [], set()
    for spec in dataclasses.fields(first.kind) if first.kind is not None else ():
        known.add(spec.name)
        given = [section.get(spec.name, spec.default) for section in sections]
        inside = not (never or spec.name in outside or spec.metadata.get("outside_identity"))
        meaning = field_docs(first.kind).get(spec.name) or sentence(comments.get(spec.name, ""))
        found.append(field_of(f"{prefix}.{spec.name}", spec, given, meaning, in_run_id=inside))
    for name in dict.fromkeys(name for section in sections for name in section):
        # `name` is the option's own, unless its file says that it is the user's to set.
        if name in known or name.startswith("_") or (name == "name" and name not in comments):
            continue
        given = [section.get(name) for section in sections]
        kind, meaning = TYPES.get(type(given[0]).__name__, ""), prose(sentence(comments.get(name, "")))
        found.append(Field(f"{prefix}.{name}", kind, _default(given), "", meaning, not never))
    return found


def field_of(name: str, spec: dataclasses.Field[Any], given: Sequence[Any], meaning: str, *, in_run_id: bool) -> Field:
    """A field of a dataclass; `given` are its values in the options of the table."""
    return Field(name, type_words(str(spec.type)), _default(given), _allowed(spec), prose(meaning), in_run_id)


def differing(options: Sequence[Option]) -> list[str]:
    """Names of the fields in which options of one class differ."""
    names = dict.fromkeys(name for option in options for name in option.section if not name.startswith("_"))
    values = {name: {yaml_text(option.section.get(name)) for option in options} for name in names if name != "name"}
    return [name for name, texts in values.items() if len(texts) > 1]


def _default(given: Sequence[Any]) -> str:
    texts = {yaml_text(value) for value in given}
    return f"`{texts.pop()}`" if len(texts) == 1 else "see below"


def _allowed(spec: dataclasses.Field[Any]) -> str:
    limits = [LIMITS[name].format(bound) for name, bound in spec.metadata.get("limits", {}).items()]
    return ", ".join([*limits, *(f"`{choice}`" for choice in spec.metadata.get("choices") or ())])


def field_docs(kind: type | None) -> dict[str, str]:
    """The docstring under each field of a dataclass, those of its bases too."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__ if kind else ()):
        if not dataclasses.is_dataclass(base):
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(body, ast.ClassDef)
        for statement, following in itertools.pairwise(body.body):
            match statement, following:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = text
    return found


def opening(kind: type) -> str:
    """A docstring up to its first section of Args, Attributes, Raises or Returns."""
    return re.split(r"\n\s*(?:Args|Attributes|Raises|Returns):", inspect.getdoc(kind) or "")[0].strip()


def type_words(annotation: str) -> str:
    """`int | None` as `whole number or null`."""
    return " or ".join(TYPES.get(part.strip(), part.strip()) for part in annotation.split("|"))


def yaml_text(value: Any) -> str:
    """A value as YAML writes it on one line."""
    if value is dataclasses.MISSING:
        return ""
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, tuple):
        value = list(value)
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).strip().removesuffix("...").strip()


def sentence(text: str) -> str:
    """A comment with a capital letter and a full stop."""
    return f"{text[0].upper()}{text[1:].removesuffix('.')}." if text else ""


def prose(text: str) -> str:
    """Plain text as Markdown: what is not in backticks keeps its stars and angle brackets."""
    parts = " ".join(text.split()).split("`")
    return "`".join(
        part if index % 2 else part.replace("<", "&lt;").replace("*", "\\*") for index, part in enumerate(parts)
    )
