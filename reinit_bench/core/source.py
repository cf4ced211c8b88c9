"""What code a target names: the hash of its source, for classes outside this package."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGE = __name__.partition(".")[0]


@cache
def source_hash(target: str) -> str | None:
    """16 hex digits that depend on which class `target` names and on the text of its code; None inside this package.

    The code is the module's file, or all Python files of the package that the module is in. Nothing is imported.

    Args:
        target: `module.Class` or `package.module.Class`.

    Raises:
        ModuleNotFoundError: there is no such module.
    """
    module, _, attribute = target.rpartition(".")
    if module.partition(".")[0] == PACKAGE:
        return None
    root, files = _files_of(module)
    texts = {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    content = json.dumps([module, attribute, sorted(texts.items())])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _files_of(module: str) -> tuple[Path, list[Path]]:
    """A folder, and the files in it that make up the module or its package."""
    top, *rest = module.split(".")
    spec = find_spec(top)  # of a top-level module: this imports nothing
    if spec is None:
        raise ModuleNotFoundError(f"No module named {top!r}")
    if spec.origin not in (None, "namespace") and not spec.submodule_search_locations:
        file = Path(str(spec.origin))
        return file.parent, [file]
    for folder in map(Path, spec.submodule_search_locations or ()):
        # Down through folders without __init__.py, to a package or a file.
        for depth in range(len(rest) + 1):
            place = folder.joinpath(*rest[:depth])
            if (place / "__init__.py").is_file():
                return place, sorted(path for path in place.rglob("*.py") if path.is_file())
            if depth and place.with_suffix(".py").is_file():
                return place.parent, [place.with_suffix(".py")]
    places = ", ".join(spec.submodule_search_locations or ())
    raise ModuleNotFoundError(f"No module named {module!r}" + (f" in {places}" if places else ""))
