"""All figures: found, drawn and written.

A figure is a module of this package that offers `draw`, a function from a collection to a matplotlib figure, which
raises `NothingToDraw` where no run can be shown. A new file is found by being there; its name is the figure's, and the
first paragraph of its docstring the caption. It may offer `VARIANTS`, further figures by name, each drawn by a function
whose docstring is its caption, and `FROM_PAPER = True`, where the figure can be drawn from the published numbers too.
Modules without `draw` are what figures share. All are drawn in the style of `style.py`.
"""

from __future__ import annotations

import io
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from matplotlib.figure import Figure

from reinit_bench.analysis.figures.style import styled
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.files import make_folder, write_bytes

FORMATS = ("png", "pdf")

Draw = Callable[[Collection], Figure]


class NothingToDraw(ConfigError):
    """The store has no run that a figure shows; the message names the command that makes them."""


@dataclass(frozen=True)
class KnownFigure:
    """A figure that can be drawn.

    Attributes:
        draw: makes it from a collection; raises NothingToDraw.
        caption: what it shows.
        from_paper: whether it can be drawn from the published numbers.
    """

    draw: Draw
    caption: str
    from_paper: bool


def known_figures(names: Sequence[str] | None = None, *, from_paper: bool = False) -> dict[str, KnownFigure]:
    """The figures with these names; where none is named all of them, or all that the published numbers can fill.

    Raises:
        ConfigError: there is no figure with such a name.
    """
    modules = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    found = {name: figure for module in modules if hasattr(module, "draw") for name, figure in _offered(module)}
    known = {name: found[name] for name in sorted(found, key=_by_number)}
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        raise ConfigError(f"there is no figure {unknown[0]!r}; the figures are {', '.join(known)}")
    usual = [name for name, figure in known.items() if figure.from_paper or not from_paper]
    return {name: known[name] for name in names or usual}


def _offered(module: ModuleType) -> Iterator[tuple[str, KnownFigure]]:
    name, from_paper = module.__name__.rpartition(".")[2], getattr(module, "FROM_PAPER", False)
    yield name, KnownFigure(styled(module.draw), _first_paragraph(module), from_paper)
    for name, draw in getattr(module, "VARIANTS", {}).items():
        yield name, KnownFigure(styled(draw), _first_paragraph(draw), from_paper)


def _first_paragraph(documented: object) -> str:
    return " ".join((documented.__doc__ or "").strip().partition("\n\n")[0].split())


def _by_number(name: str) -> tuple[str, int]:
    """Sorts figure10 after figure9."""
    word = name.rstrip("0123456789")
    return word, int(name[len(word) :] or 0)


@styled
def image(figure: Figure, ending: str, dpi: int) -> bytes:
    """The content of the figure's file."""
    content = io.BytesIO()
    engine = figure.get_layout_engine()
    if engine is not None:  # the parts are placed once: `savefig` would draw the figure twice to do it
        figure.set_dpi(dpi)
        engine.execute(figure)
        figure.set_layout_engine(None)
    figure.savefig(content, format=ending, dpi=dpi)
    return content.getvalue()


def write_figure(folder: Path, name: str, figure: Figure) -> tuple[Path, ...]:
    """Write the figure as PNG and PDF, each file in one step; returns their paths.

    Raises:
        StoreError: the folder cannot be made or written.
    """
    make_folder(folder)
    contents = {folder / f"{name}.{ending}": image(figure, ending, dpi=200) for ending in FORMATS}
    for path, content in contents.items():
        write_bytes(path, content)
    return tuple(contents)
