"""All tables: found, built and written.

A table is a module of this package whose name begins with `table_`. It offers `TABLES`, which maps the number in the
paper or the name of each table that it makes to a function from a collection to a table. A new file is found by being
there. It may offer `BY_NAME`, further tables that are built only when they are named, and `FROM_PAPER = True`, where
its tables can be built from the published numbers too.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from reinit_bench import analysis
from reinit_bench.analysis import render
from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.layout import Table
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.files import StoreError, write_text

Builder = Callable[[Collection], Table]

_FORMATS = {"md": render.markdown, "tex": render.latex, "csv": render.csv}


@dataclass(frozen=True)
class Builders:
    """What the table modules offer, by name, numbers first.

    Attributes:
        usual: those that are built where none is named.
        by_name: all.
        from_paper: those that are built from the published numbers where none is named.
    """

    usual: Mapping[str, Builder]
    by_name: Mapping[str, Builder]
    from_paper: Mapping[str, Builder]


def builders() -> Builders:
    """Every table that there is."""
    usual: dict[str, Builder] = {}
    others: dict[str, Builder] = {}
    from_paper: dict[str, Builder] = {}
    for found in pkgutil.iter_modules(analysis.__path__):
        if found.name.startswith("table_"):
            module = import_module(f"{analysis.__name__}.{found.name}")
            offered = {str(name): builder for name, builder in module.TABLES.items()}
            usual |= offered
            others |= getattr(module, "BY_NAME", {})
            if getattr(module, "FROM_PAPER", False):
                from_paper |= offered
    return Builders(_ordered(usual), _ordered(usual | others), _ordered(from_paper))


def build_tables(collection: Collection, names: Sequence[int | str] | None = None) -> list[Table]:
    """The tables with these numbers or names, in this order; all the usual ones where none is named.

    Raises:
        ConfigError: there is no such table.
    """
    known = builders()
    usual = known.from_paper if collection.from_paper else known.usual
    wanted = list(dict.fromkeys(usual if names is None else map(str, names)))
    unknown = [name for name in wanted if name not in known.by_name]
    if unknown:
        raise ConfigError(f"there is no table {unknown[0]}; the tables are {', '.join(known.by_name)}")
    return [known.by_name[name](collection) for name in wanted]


def _ordered(found: Mapping[str, Builder]) -> dict[str, Builder]:
    """Numbers in order, each before its variants, then words."""

    def place(name: str) -> tuple[bool, int, str]:
        number = name.partition("-")[0]
        return not number.isdigit(), int(number) if number.isdigit() else 0, name

    return {name: found[name] for name in sorted(found, key=place)}


def write(table: Table, directory: Path | str) -> tuple[Path, ...]:
    """Write the table as Markdown, LaTeX and CSV into `directory`, each file in one step; returns their paths.

    Raises:
        StoreError: the folder cannot be made or written.
    """
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {folder}: {error.strerror or error}; give the tables another folder") from error
    paths = []
    for ending, text in _FORMATS.items():
        path = folder / f"{table.name}.{ending}"
        write_text(path, text(table))
        paths.append(path)
    return tuple(paths)
