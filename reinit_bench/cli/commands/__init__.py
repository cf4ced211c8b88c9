"""The sub-commands: one file each, found automatically. None of them imports torch, so that they answer at once.

A file defines `command`, a function that Typer turns into a command; its docstring is the command's help, and the
file's first line its line in `reinit-bench --help`. The file's name is the command's, with a dash for each underscore.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from reinit_bench.cli.words import is_multirun
from reinit_bench.core.errors import choose_from
from reinit_bench.core.settings import ConfigError

if TYPE_CHECKING:
    from typer import Typer


def summaries() -> dict[str, str]:
    """Each sub-command's name and the first line of its file, without importing any."""
    files = sorted(path for path in Path(__file__).parent.glob("*.py") if not path.name.startswith("_"))
    return {
        path.stem.replace("_", "-"): (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
        for path in files
    }


def option_names(name: str) -> list[str]:
    """The options of one sub-command, such as `--json`."""
    from typer.main import get_command

    return [spelling for parameter in get_command(_app(name)).params for spelling in parameter.opts if "-" in spelling]


def _app(name: str) -> Typer:
    import typer

    helps = {"help_option_names": ["-h", "--help"]}
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, context_settings=helps)
    module = import_module(f"{__name__}.{name.replace('-', '_')}")
    app.command(name=name)(module.command)
    return app


def run_command(words: Sequence[str]) -> int:
    """Run one sub-command; returns its exit code.

    Raises:
        ConfigError: there is no such sub-command.
    """
    name = words[0]
    if name not in summaries():
        raise ConfigError(
            f"there is no sub-command {name!r}; {choose_from(name, summaries())}, or set fields with name=value"
        )
    import typer

    given = [word for word in words[1:] if not is_multirun(word)]  # so that a sweep's command line can be pasted
    try:
        code = _app(name)(given, prog_name=f"reinit-bench {name}", standalone_mode=False)
    except typer.Exit as stop:
        return stop.exit_code
    return int(code or 0)
