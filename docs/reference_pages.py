"""The reference pages that are made from the code and from conf/ when the site is built, so that they cannot disagree.

`pages()` gives each page's Markdown by its place in the site; `hooks.py` hands them to MkDocs.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from field_tables import (
    differing,
    field_docs,
    field_of,
    field_table,
    fields_of,
    opening,
    prose,
    sentence,
    yaml_text,
)
from option_files import Option, by_kind, default_of, options_of
from yaml_comments import about, field_comments

from reinit_bench.core.conf_dir import conf_dir
from reinit_bench.core.config import Execution, Experiment

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

MOST_COLUMNS = 3
"""So many options of one class are compared in a table; more have a section each."""

_LEGEND = (
    "*In id* says whether a field is part of the [run id](../explanation/identity.md): "
    "a run with another value is another run."
)


def pages() -> dict[str, str]:
    """Every generated page, by its path below docs/."""
    made = {f"reference/{group.rpartition('/')[2]}.md": group_page(group) for group in GROUPS}
    others = {"run": run_page, "studies": studies_page, "commands": commands_page, "make": make_page}
    return made | {f"reference/{name}.md": make() for name, make in others.items()}


# --- groups and their fields ---


def group_page(group: str) -> str:
    """A group: its options by class, each class with its fields."""
    lines = [f"# {group.rpartition('/')[2]}", "", GROUPS[group]]
    lines += [f"Chosen with `{group}=NAME`; the default is `{default_of(group)}`."]
    lines += ["", f"Files: `conf/{group}/*.yaml`. {_LEGEND}", ""]
    for options in by_kind(options_of(group)):
        lines += _options_section(options)
    return "\n".join(lines) + "\n"


def _options_section(options: Sequence[Option]) -> list[str]:
    described, table = _class_lines(options[0].kind), [*field_table(fields_of(options)), ""]
    if len(options) == 1:
        return [f"## {options[0].name}", "", options[0].about, *_brings(options[0]), "", *described, *table]
    if len(options) <= MOST_COLUMNS:
        lines = [f"## {', '.join(option.name for option in options)}", ""]
        for option in options:
            lines += [f"**{option.name}**", "", option.about, *_brings(option), ""]
        return [*lines, *described, *table, *_comparison(options)]
    lines = [f"## {len(options)} options of class {getattr(options[0].kind, '__name__', '')}", "", *described, *table]
    for option in options:
        lines += [f"### {option.name}", "", option.about, *_brings(option), *_values(option, options), ""]
    return lines


def _class_lines(kind: type | None) -> list[str]:
    """What a class says of itself, and where it lies."""
    if kind is None:
        return []
    return [prose(opening(kind)), "", f"Code: `{kind.__module__.replace('.', '/')}.py`, class `{kind.__name__}`.", ""]


def _brings(option: Option) -> list[str]:
    values = [f"`{key}={yaml_text(value)}`" for key, value in option.also.items()]
    return ["", f"It also sets {', '.join(values)}."] if values else []


def _values(option: Option, options: Sequence[Option]) -> list[str]:
    """The values in which an option differs from others of its class."""
    given = {name: option.section.get(name) for name in differing(options)}
    values = [f"`{name}: {yaml_text(value)}`" for name, value in given.items() if value is not None]
    return ["", f"Its values: {', '.join(values)}."] if values else []


def _comparison(options: Sequence[Option]) -> list[str]:
    """The fields in which options of one class differ, a column for each option."""
    names = differing(options)
    if not names:
        return []
    lines = ["Where they differ:", "", "| Field | " + " | ".join(option.name for option in options) + " |"]
    lines += ["| --- |" + " --- |" * len(options)]
    for name in names:
        values = (f"`{yaml_text(option.section.get(name))}`" for option in options)
        lines += [f"| `{name}` | " + " | ".join(values) + " |"]
    return [*lines, ""]


def run_page() -> str:
    """The fields outside every group."""
    text = (conf_dir() / "config.yaml").read_text(encoding="utf-8")
    values, comments = yaml.safe_load(text), field_comments(text)
    fields = []
    for kind in (Experiment, Execution):
        for spec in dataclasses.fields(kind):
            if spec.name in values and spec.name not in GROUPS:
                meaning = field_docs(kind).get(spec.name) or sentence(comments.get(spec.name, ""))
                fields.append(field_of(spec.name, spec, [values[spec.name]], meaning, in_run_id=kind is Experiment))
    return "\n".join(
        ["# Fields outside the groups", "", f"Set as `NAME=VALUE`. {_LEGEND}", "", *field_table(fields), ""]
    )


# --- studies, commands, make ---


def studies_page() -> str:
    """Each study with what its file says of itself, and its grids."""
    lines = ["# Studies", ""]
    lines += ["Run one with `reinit-bench -m study=NAME`; `reinit-bench plan study=NAME` says what it comes to.", ""]
    for path in sorted((conf_dir() / "study").glob("*.yaml")):
        if path.stem == "none":
            continue
        text = path.read_text(encoding="utf-8")
        rest = [line for line in text.splitlines() if not line.startswith("#")]
        lines += [f"## {path.stem}", "", about(text), "", f'??? note "conf/study/{path.name}"', ""]
        lines += ["    ```yaml", *(f"    {line}".rstrip() for line in rest), "    ```", ""]
    return "\n".join(lines)


def commands_page() -> str:
    """The command line: the help, and each sub-command with its words and options."""
    from reinit_bench.cli.commands import summaries
    from reinit_bench.cli.help import help_text

    lines = ["# Commands", ""]
    lines += ["A bare word first is a sub-command; everything else is Hydra's. `reinit-bench --help` prints:", ""]
    lines += ["```text", help_text(), "```", ""]
    for name in summaries():
        lines += _command_section(name)
    return "\n".join(lines)


def click_command(name: str) -> Any:
    """A sub-command as the parser sees it."""
    import typer

    app = typer.Typer(add_completion=False)
    app.command(name=name)(import_module(f"reinit_bench.cli.commands.{name.replace('-', '_')}").command)
    return typer.main.get_command(app)


def _command_section(name: str) -> list[str]:
    command = click_command(name)
    words = [parameter.metavar for parameter in command.params if parameter.param_type_name == "argument"]
    has_options = len(words) < len(command.params)
    usage = " ".join(["reinit-bench", name, *words, *(["[OPTIONS]"] if has_options else [])])
    lines = [f"## {name}", "", prose(command.help or ""), "", "```text", usage, "```", ""]
    lines += ["| Word or option | Default | Meaning |", "| --- | --- | --- |"]
    for parameter in command.params:
        label = parameter.metavar if parameter.param_type_name == "argument" else ", ".join(parameter.opts)
        shown = "" if parameter.default in (None, False) else f"`{parameter.default}`"
        cells = (f"`{label}`", shown, prose(parameter.help or ""))
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"]
    return [*lines, ""]


def make_page() -> str:
    """The targets of the Makefile, as `make help` lists them."""
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    lines = ["# make", "", "In a clone of the repository; `make help` prints this list.", ""]
    lines += ["| Target | What it does |", "| --- | --- |"]
    for name, what in re.findall(r"^([a-z-]+):.*## (.+)$", makefile, re.MULTILINE):
        lines += [f"| `make {name}` | {prose(what)} |"]
    return "\n".join([*lines, ""])
