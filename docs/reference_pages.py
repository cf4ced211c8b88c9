"""The reference pages that are made from the code and from conf/ when the site is built, so that they cannot disagree.

`pages()` gives each page's Markdown by its place in the site; `hooks.py` hands them to MkDocs.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from yaml_comments import about, field_comments

from reinit_bench.core.conf_dir import conf_dir
from reinit_bench.core.config import Execution, Experiment, Trainer
from reinit_bench.reporting.loggers import LoggerSettings
from reinit_bench.sweep.slurm.options import Options

REPOSITORY = Path(__file__).resolve().parent.parent

GROUPS = {
    "method": "How parameters are reinitialized between rounds.",
    "model": "The network. K is its number of blocks; a run has K x N rounds.",
    "dataset": "What is learned. A dataset may also set an image size and a trainer that suit it.",
    "augmentation": "What happens to a training image before the network sees it.",
    "dropout": "The share of activations that training drops.",
    "initializer": "How initial values, and the values of every reinitialization, are drawn.",
    "trainer": "How one round is trained.",
    "logger": "Where a run is logged besides its own folder.",
    "hydra/launcher": "Where a sweep runs: fields are set as `hydra.launcher.FIELD`.",
}
"""The groups that have a page of their own, with its opening line; `study` has its own kind of page."""

WITHOUT_TARGET = {"trainer": Trainer, "logger": LoggerSettings}
"""The classes of groups whose files name none."""

MOST_COLUMNS = 3
"""So many options of one class are compared in a table; more have a section each."""

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
    "Mapping[str, Any]": "mapping",
}


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
        cells = [f"`{self.name}`", self.type, self.default, self.allowed, self.meaning, "yes" if self.in_run_id else "no"]
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


@dataclass(frozen=True)
class Option:
    """One file of a group: its section, the comments beside its fields, and what else it sets."""

    group: str
    name: str
    about: str
    section: Mapping[str, Any]
    comments: Mapping[str, str]
    also: Mapping[str, Any]

    @property
    def kind(self) -> type | None:
        """The class whose fields the section sets; None where the section is all there is."""
        if self.group == "hydra/launcher":
            return Options
        target = self.section.get("_target_")
        if target is None:
            return WITHOUT_TARGET.get(self.group)
        module, _, name = str(target).rpartition(".")
        found: type = getattr(import_module(module), name)
        return found


def pages() -> dict[str, str]:
    """Every generated page, by its path below docs/."""
    made = {f"reference/{group.rpartition('/')[2]}.md": group_page(group) for group in GROUPS}
    return {**made, "reference/run.md": run_page(), "reference/studies.md": studies_page(), **command_pages()}


# --- groups and their fields ---


def options_of(group: str) -> list[Option]:
    """The options of a group, by name."""
    return [_option(group, path) for path in sorted((conf_dir() / group).glob("*.yaml"))]


def _option(group: str, path: Path) -> Option:
    text = path.read_text(encoding="utf-8")
    content = yaml.safe_load(text) or {}
    comments = field_comments(text)
    also: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for entry in content.pop("defaults", []):
        if isinstance(entry, str) and entry != "_self_":  # an option of the same group that this one builds on
            base = _option(group, path.with_name(f"{entry}.yaml"))
            merged, comments = {**base.section}, {**base.comments, **comments}
        elif isinstance(entry, dict):
            also |= {key.removeprefix("override /"): value for key, value in entry.items()}
    if isinstance(content.get(group), dict):  # a file for the whole configuration, as those of datasets are
        also |= {key: value for key, value in content.items() if key != group}
        content = content[group]
        comments = {key.removeprefix(f"{group}."): text for key, text in comments.items()}
    return Option(group, path.stem, about(text), {**merged, **content}, comments, also)


def group_page(group: str) -> str:
    """A group: its options by class, each class with its fields."""
    label = group.rpartition("/")[2]
    default = _defaults().get(group)
    lines = [f"# {label}", "", GROUPS[group]]
    if default:
        lines += [f"Chosen with `{group}=NAME`; the default is `{default}`."]
    lines += ["", f"Files: `conf/{group}/*.yaml`. {_LEGEND}", ""]
    for options in _by_kind(options_of(group)):
        lines += _options_section(options)
    if group == "hydra/launcher":
        lines += _local_launcher()
    return "\n".join(lines) + "\n"


_LEGEND = (
    "*In id* says whether a field is part of the [run id](../explanation/identity.md): "
    "a run with another value is another run."
)


def _defaults() -> dict[str, str]:
    entries = yaml.safe_load((conf_dir() / "config.yaml").read_text())["defaults"]
    return {key.removeprefix("override "): value for entry in entries if isinstance(entry, dict) for key, value in entry.items()}


def _by_kind(options: Sequence[Option]) -> list[list[Option]]:
    groups: dict[Any, list[Option]] = {}
    for option in options:
        groups.setdefault(option.kind, []).append(option)
    return list(groups.values())


def _options_section(options: Sequence[Option]) -> list[str]:
    kind = options[0].kind
    if len(options) == 1:
        lines = [f"## {options[0].name}", "", options[0].about, *_brings(options[0]), ""]
        return [*lines, *_class_lines(kind), *_field_table(fields_of(options)), ""]
    if len(options) <= MOST_COLUMNS:
        lines = [f"## {', '.join(option.name for option in options)}", ""]
        for option in options:
            lines += [f"**{option.name}**", "", option.about, *_brings(option), ""]
        return [*lines, *_class_lines(kind), *_field_table(fields_of(options)), "", *_differences(options)]
    lines = [f"## {len(options)} options of class {kind.__name__ if kind else ''}", "", *_class_lines(kind)]
    lines += [*_field_table(fields_of(options)), ""]
    for option in options:
        lines += [f"### {option.name}", "", option.about, *_brings(option), *_values(option, options), ""]
    return lines


def _class_lines(kind: type | None) -> list[str]:
    """What a class says of itself, and where it lies."""
    if kind is None:
        return []
    return [prose(_opening(kind)), "", f"Code: `{kind.__module__.replace('.', '/')}.py`, class `{kind.__name__}`.", ""]


def _brings(option: Option) -> list[str]:
    values = [f"`{key}={yaml_text(value)}`" for key, value in option.also.items()]
    return ["", f"It also sets {', '.join(values)}."] if values else []


def _values(option: Option, options: Sequence[Option]) -> list[str]:
    """The values in which an option differs from others of its class."""
    given = {name: option.section.get(name) for name in _differing(options)}
    values = [f"`{name}: {yaml_text(value)}`" for name, value in given.items() if value is not None]
    return ["", f"Its values: {', '.join(values)}."] if values else []


def fields_of(options: Sequence[Option]) -> list[Field]:
    """The fields that options of one class share: those of the class, then what only the files have."""
    first = options[0]
    sections = [option.section for option in options]
    comments = {key: text for option in reversed(options) for key, text in option.comments.items()}
    outside = {name for section in sections for name in section.get("_outside_identity_", ())}
    prefix = "hydra.launcher" if first.group == "hydra/launcher" else first.group
    never = prefix in ("logger", "hydra.launcher")
    rows, known = [], set()
    for spec in dataclasses.fields(first.kind) if first.kind is not None else ():
        known.add(spec.name)
        given = [section.get(spec.name, spec.default) for section in sections]
        inside = not (never or spec.name in outside or spec.metadata.get("outside_identity"))
        meaning = field_docs(first.kind).get(spec.name) or sentence(comments.get(spec.name, ""))
        rows.append(_field(f"{prefix}.{spec.name}", spec, given, meaning, inside))
    for name in dict.fromkeys(name for section in sections for name in section):
        # `name` is the option's own, unless its file says that it is the user's to set.
        if name in known or name.startswith("_") or (name == "name" and name not in comments):
            continue
        given = [section.get(name) for section in sections]
        type_ = TYPES.get(type(given[0]).__name__, "")
        rows.append(Field(f"{prefix}.{name}", type_, _default(given), "", prose(sentence(comments.get(name, ""))), not never))
    return rows


def _field(name: str, spec: dataclasses.Field[Any], given: Sequence[Any], meaning: str, in_run_id: bool) -> Field:
    return Field(name, type_words(str(spec.type)), _default(given), _allowed(spec), prose(meaning), in_run_id)


def _default(given: Sequence[Any]) -> str:
    texts = {yaml_text(value) for value in given}
    return f"`{texts.pop()}`" if len(texts) == 1 else "see below"


def _allowed(spec: dataclasses.Field[Any]) -> str:
    if spec.metadata.get("choices"):
        return ", ".join(f"`{choice}`" for choice in spec.metadata["choices"])
    return ", ".join(LIMITS[name].format(bound) for name, bound in spec.metadata.get("limits", {}).items())


def _field_table(rows: Iterable[Field]) -> list[str]:
    table = [row.row() for row in rows]
    head = ["| Field | Type | Default | Allowed | Meaning | In id |", "| --- | --- | --- | --- | --- | --- |"]
    return [*head, *table] if table else ["No fields."]


def _differences(options: Sequence[Option]) -> list[str]:
    """The fields in which options of one class differ, a column for each option."""
    differing = _differing(options)
    if not differing:
        return []

    def cell(option: Option, name: str) -> str:
        return f"`{yaml_text(option.section[name])}`" if option.section.get(name) is not None else "null"

    lines = ["Where they differ:", "", "| Field | " + " | ".join(option.name for option in options) + " |"]
    lines += ["| --- |" + " --- |" * len(options)]
    lines += [f"| `{name}` | " + " | ".join(cell(option, name) for option in options) + " |" for name in differing]
    return [*lines, ""]


def _differing(options: Sequence[Option]) -> list[str]:
    """Names of the fields in which options of one class differ."""
    names = dict.fromkeys(name for option in options for name in option.section if not name.startswith("_"))
    return [
        name
        for name in names
        if name != "name" and len({yaml_text(option.section.get(name)) for option in options}) > 1
    ]


def _local_launcher() -> list[str]:
    """The launcher that has no file: its arguments, as its docstring says them."""
    from hydra_plugins.reinit_bench_launchers.local_launcher import LocalLauncher

    says = dict(re.findall(r"^\s+(\w+): (.+)$", inspect.getdoc(LocalLauncher) or "", re.MULTILINE))
    rows = []
    for name, parameter in inspect.signature(LocalLauncher.__init__).parameters.items():
        if name != "self":
            words = type_words(str(parameter.annotation))
            default = f"`{yaml_text(parameter.default)}`"
            rows.append(Field(f"hydra.launcher.{name}", words, default, "", prose(sentence(says[name])), False))
    return ["## local", "", prose(_opening(LocalLauncher)), "", *_field_table(rows)]


def run_page() -> str:
    """The fields outside every group, and those that never enter the run id."""
    text = (conf_dir() / "config.yaml").read_text(encoding="utf-8")
    values, comments = yaml.safe_load(text), field_comments(text)
    lines = ["# Fields outside the groups", "", f"Set as `NAME=VALUE`. {_LEGEND}", ""]
    rows = []
    for kind in (Experiment, Execution):
        for spec in dataclasses.fields(kind):
            if spec.name in values and spec.name not in GROUPS and spec.name != "study":
                meaning = field_docs(kind).get(spec.name) or sentence(comments.get(spec.name, ""))
                rows.append(_field(spec.name, spec, [values[spec.name]], meaning, kind is Experiment))
    return "\n".join([*lines, *_field_table(rows), ""])


def field_docs(kind: type | None) -> dict[str, str]:
    """The docstring line under each field of a dataclass, those of its bases too."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__ if kind else ()):
        if not dataclasses.is_dataclass(base):
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(body, ast.ClassDef)
        for statement, following in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
            ):
                found[statement.target.id] = str(following.value.value)
    return found


def _opening(kind: type) -> str:
    """A docstring up to its first section of Args, Attributes or Raises."""
    return re.split(r"\n\s*(?:Args|Attributes|Raises|Returns):", inspect.getdoc(kind) or "")[0].strip()


def type_words(annotation: str) -> str:
    """`int | None` as `whole number or null`."""
    return " or ".join(TYPES.get(part.strip(), part.strip()) for part in annotation.split("|"))


def yaml_text(value: Any) -> str:
    """A value as YAML writes it on one line."""
    if isinstance(value, Path):
        return str(value)
    if value is dataclasses.MISSING:
        return ""
    if isinstance(value, float) and value == int(value) and abs(value) < 1e6:
        return f"{value:.1f}"
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


# --- studies ---


def studies_page() -> str:
    """Each study with what its file says of itself, and its grids."""
    lines = ["# Studies", "", "Run one with `reinit-bench -m study=NAME`; `reinit-bench plan study=NAME` says what it comes to.", ""]
    for path in sorted((conf_dir() / "study").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        if path.stem == "none":
            continue
        rest = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        lines += [f"## {path.stem}", "", about(text), "", f'??? note "conf/study/{path.name}"', ""]
        lines += ["    ```yaml", *(f"    {line}".rstrip() for line in rest.splitlines()), "    ```", ""]
    return "\n".join(lines)


# --- commands ---


def command_pages() -> dict[str, str]:
    """The command line, and make's targets."""
    from reinit_bench.cli.commands import summaries
    from reinit_bench.cli.help import help_text

    lines = ["# Commands", "", "A bare word first is a sub-command; everything else is Hydra's. `reinit-bench --help` prints:", ""]
    lines += ["```text", help_text(), "```", ""]
    for name in summaries():
        lines += _command_section(name)
    return {"reference/commands.md": "\n".join(lines), "reference/make.md": make_page()}


def click_command(name: str) -> Any:
    """A sub-command as the parser sees it."""
    import typer

    app = typer.Typer(add_completion=False)
    app.command(name=name)(import_module(f"reinit_bench.cli.commands.{name.replace('-', '_')}").command)
    return typer.main.get_command(app)


def _command_section(name: str) -> list[str]:
    command = click_command(name)
    lines = [f"## {name}", "", prose(command.help or ""), ""]
    words = [parameter.metavar for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    lines += ["```text", " ".join(["reinit-bench", name, *filter(None, words), *(["[OPTIONS]"] if options else [])]), "```", ""]
    lines += ["| Word or option | Default | Meaning |", "| --- | --- | --- |"]
    for parameter in command.params:
        is_option = parameter.param_type_name == "option"
        label = ", ".join(parameter.opts) if is_option else parameter.metavar or parameter.name
        shown = "" if parameter.default in (None, False) else f"`{parameter.default}`"
        lines += [f"| `{label}` | {shown} | {prose(parameter.help or '')} |".replace("]|", "]\\|").replace("...]\\| ", "...] | ")]
    return [*lines, ""]


def make_page() -> str:
    """The targets of the Makefile, as `make help` lists them."""
    found = _targets((REPOSITORY / "Makefile").read_text(encoding="utf-8"))
    lines = ["# make", "", "In a clone of the repository; `make help` prints this list.", "", "| Target | What it does |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| `make {name}` | {prose(what)} |" for name, what in found), ""])


def _targets(makefile: str) -> Iterator[tuple[str, str]]:
    for match in re.finditer(r"^([a-z-]+):.*## (.+)$", makefile, re.MULTILINE):
        yield match.group(1), match.group(2)
