"""All tables: found, built and written.

A table is a module `table_NAME.py` of this package or of `synthetic`, read only when it is asked for; a new file is
found by being there. Its `TABLES` maps the number in the paper or the name of each table that it makes to a function
from a collection to a table. Each is NAME, one of several numbers (`table_2_6_7.py`), or begins with it
(`3-one-sided`). It may offer `BY_NAME`, tables that are built only when they are named, and `FROM_PAPER = True`, where
those in `TABLES` can be built from the published numbers too.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.tables.render.text import FORMATS
from reinit_bench.analysis.tables.table import Table
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.files import make_folder, write_text

SYNTHETIC = "reinit_bench.analysis.synthetic"
PACKAGES = ("reinit_bench.analysis.tables", SYNTHETIC)
PREFIX = "table_"


@dataclass(frozen=True)
class KnownTable:
    """A table that can be built.

    Attributes:
        build: makes it from a collection.
        usual: whether it is built where no table is named.
        from_paper: whether it is built from the published numbers where no table is named.
        of_images: whether it is about runs on images, of whose datasets something may have to be said.
    """

    build: Callable[[Collection], Table]
    usual: bool
    from_paper: bool
    of_images: bool


def known_tables(names: Sequence[int | str] | None = None) -> dict[str, KnownTable]:
    """The tables with these numbers or names, in this order; else all: numbers, each before its variants, then words.

    Raises:
        ConfigError: one of these names is none of a table.
    """
    modules = _modules()
    if names is None:
        found = {name: table for module in modules.values() for name, table in _offered(module).items()}
        return {name: found[name] for name in sorted(found, key=_place)}
    wanted: dict[str, KnownTable] = {}
    for name in dict.fromkeys(map(str, names)):
        word = name.replace("-", "_")
        own = max((key for key in modules if f"{word}_".startswith(f"{key}_")), key=len, default=None)
        table = _offered(modules[own]).get(name) if own else None
        if table is None:
            raise ConfigError(f"there is no table {name}; the tables are {', '.join(known_tables())}")
        wanted[name] = table
    return wanted


def build_tables(collection: Collection, names: Sequence[int | str] | None = None) -> dict[str, Table]:
    """The tables with these numbers or names, in this order; all the usual ones where none is named.

    Raises:
        ConfigError: there is no such table.
    """
    known = known_tables(names)
    if names is None:
        known = {name: one for name, one in known.items() if (one.from_paper if collection.source else one.usual)}
    built = {name: one.build(collection) for name, one in known.items()}
    return {
        name: replace(table, notes=(*table.notes, *collection.dataset_notes)) if known[name].of_images else table
        for name, table in built.items()
    }


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


def _modules() -> dict[str, str]:
    """The modules of tables by what they make."""
    found = {}
    for package in PACKAGES:
        for one in pkgutil.iter_modules(import_module(package).__path__):
            name = one.name.removeprefix(PREFIX)
            if name != one.name:
                keys = name.split("_") if name.replace("_", "").isdigit() else [name]
                found.update(dict.fromkeys(keys, f"{package}.{one.name}"))
    return found


def _offered(module: str) -> dict[str, KnownTable]:
    """The tables of a module, the usual ones first."""
    made, of_images = import_module(module), not module.startswith(SYNTHETIC)
    usual, by_name = getattr(made, "TABLES", {}), getattr(made, "BY_NAME", {})
    return {
        str(name): KnownTable(build, name in usual, name in usual and getattr(made, "FROM_PAPER", False), of_images)
        for name, build in {**usual, **by_name}.items()
    }


def _place(name: str) -> tuple[bool, int, str]:
    number = name.partition("-")[0]
    return not number.isdigit(), int(number) if number.isdigit() else 0, name
