"""All figures: found, drawn and written.

A figure is a module of this package that offers `draw`, a function from a collection to a matplotlib figure. A new file
is found by being there; its name is the figure's. Modules without `draw` are what figures share. `FROM_PAPER = True`
says that the figure can be drawn from the published numbers too.
"""

from __future__ import annotations

import io
import pkgutil
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.figures.style import RC
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.files import StoreError, write_atomically

Drawer = Callable[[Collection], Figure]

FORMATS = ("png", "pdf")


class NothingToDraw(ConfigError):
    """The store has no run that a figure shows; the message names the command that makes them."""


def drawers(names: Sequence[str] | None = None, *, from_paper: bool = False) -> dict[str, Drawer]:
    """The figures with these names; where none is named all of them, or all that the published numbers can fill.

    Raises:
        ConfigError: there is no figure with such a name.
    """
    modules = {found.name: import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)}
    known = {name: modules[name] for name in sorted(modules, key=_by_number) if hasattr(modules[name], "draw")}
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        raise ConfigError(f"there is no figure {unknown[0]!r}; the figures are {', '.join(known)}")
    usual = [name for name, module in known.items() if not from_paper or getattr(module, "FROM_PAPER", False)]
    return {name: known[name].draw for name in names or usual}


def _by_number(name: str) -> tuple[str, int]:
    """Sorts figure10 after figure9."""
    word = name.rstrip("0123456789")
    return word, int(name[len(word) :] or 0)


def write(figure: Figure, name: str, directory: Path) -> tuple[Path, ...]:
    """Write the figure as PNG and PDF into `directory`, each file in one step; returns their paths.

    Raises:
        StoreError: the folder cannot be made or written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {directory}: {error.strerror or error}; change results_dir") from error
    paths = []
    for ending in FORMATS:
        content = io.BytesIO()
        # Type 42 keeps text as text: searchable, and editable by a journal.
        with matplotlib.rc_context({**RC, "pdf.fonttype": 42}):
            figure.savefig(content, format=ending, dpi=200)
        figure.set_layout_engine("none")  # it is laid out: doing it again for the next format would take as long
        write_atomically(directory / f"{name}.{ending}", lambda stream: stream.write(content.getvalue()))  # noqa: B023
        paths.append(directory / f"{name}.{ending}")
    return tuple(paths)
