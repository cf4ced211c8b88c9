"""All tables: found, built and written.

A table is a module of this package or of `synthetic` whose name ends in `_table`. It offers `TABLES`, which maps the
number in the paper or the name of each table that it makes to a function from a collection to a table. A new file is
found by being there. It may offer `BY_NAME`, further tables that are built only when they are named, and
`FROM_PAPER = True`, where those in `TABLES` can be built from the published numbers too.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.tables.render.text import FORMATS
from reinit_bench.analysis.tables.table import Table
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.files import make_folder, write_text

PACKAGES = ("reinit_bench.analysis.tables", "reinit_bench.analysis.synthetic")


@dataclass(frozen=True)
class KnownTable:
    """A table that can be built.

    Attributes:
        build: makes it from a collection.
        usual: whether it is built where no table is named.
        from_paper: whether it is built from the published numbers where no table is named.
    """

    build: Callable[[Collection], Table]
    usual: bool
    from_paper: bool


def known_tables() -> dict[str, KnownTable]:
    """Every table by its number or name: numbers in order, each before its variants, then words."""
    found = {name: table for module in _modules() for name, table in _offered(module)}

    def place(name: str) -> tuple[bool, int, str]:
        number = name.partition("-")[0]
        return not number.isdigit(), int(number) if number.isdigit() else 0, name

    return {name: found[name] for name in sorted(found, key=place)}


def check_names(names: Sequence[int | str]) -> dict[str, KnownTable]:
    """All tables, as `known_tables`.

    Raises:
        ConfigError: one of these names is none of a table.
    """
    known = known_tables()
    unknown = [name for name in map(str, names) if name not in known]
    if unknown:
        raise ConfigError(f"there is no table {unknown[0]}; the tables are {', '.join(known)}")
    return known


def build_tables(collection: Collection, names: Sequence[int | str] | None = None) -> dict[str, Table]:
    """The tables with these numbers or names, in this order; all the usual ones where none is named.

    Raises:
        ConfigError: there is no such table.
    """
    known = check_names(names or ())
    usual = [name for name, one in known.items() if (one.from_paper if collection.source else one.usual)]
    wanted = list(dict.fromkeys(usual if names is None else map(str, names)))
    return {name: known[name].build(collection) for name in wanted}


def write_table(table: Table, folder: Path) -> tuple[Path, ...]:
    """Write the table as Markdown, LaTeX and CSV, each file in one step; returns their paths.

    Raises:
        StoreError: the folder cannot be made or written.
    """
    make_folder(folder)
    texts = {folder / f"{table.name}.{ending}": text(table) for ending, text in FORMATS.items()}
    for path, text in texts.items():
        write_text(path, text)
    return tuple(texts)


def _modules() -> Iterator[ModuleType]:
    for package in PACKAGES:
        for found in pkgutil.iter_modules(import_module(package).__path__):
            if found.name.endswith("_table"):
                yield import_module(f"{package}.{found.name}")


def _offered(module: ModuleType) -> Iterator[tuple[str, KnownTable]]:
    for name, build in getattr(module, "TABLES", {}).items():
        yield str(name), KnownTable(build, usual=True, from_paper=getattr(module, "FROM_PAPER", False))
    for name, build in getattr(module, "BY_NAME", {}).items():
        yield name, KnownTable(build, usual=False, from_paper=False)
