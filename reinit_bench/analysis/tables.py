"""All tables: found, built and written.

A table is a module of this package whose name begins with `table_`. It offers `TABLES`, which maps each number that it
makes to a function from a collection to a table. A new file is found by being there.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from reinit_bench import analysis
from reinit_bench.analysis import render
from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.layout import Table
from reinit_bench.settings import ConfigError
from reinit_bench.store import StoreError, write_text

Builder = Callable[[Collection], Table]

_FORMATS = {"md": render.markdown, "tex": render.latex, "csv": render.csv}


def builders() -> dict[int, Builder]:
    """Every table that there is, by its number in the paper, in order."""
    found: dict[int, Builder] = {}
    for module in pkgutil.iter_modules(analysis.__path__):
        if module.name.startswith("table_"):
            offered: Mapping[int, Builder] = import_module(f"{analysis.__name__}.{module.name}").TABLES
            found.update(offered)
    return dict(sorted(found.items()))


def build_tables(collection: Collection, numbers: Sequence[int] | None = None) -> list[Table]:
    """The tables with these numbers, in this order; all of them where none is named.

    Raises:
        ConfigError: there is no table with such a number.
    """
    known = builders()
    wanted = list(dict.fromkeys(known if numbers is None else numbers))
    unknown = [number for number in wanted if number not in known]
    if unknown:
        raise ConfigError(f"there is no table {unknown[0]}; the tables are {', '.join(map(str, known))}")
    return [known[number](collection) for number in wanted]


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
