"""The layers of the analyses: imports go down only, without circles, and nothing but discovery knows `synthetic`."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from reinit_bench import analysis

ROOT = Path(analysis.__file__).parent
PREFIX = "reinit_bench.analysis."
LAYERS = ("frame", "stats", "tables", "figures", "report")
"""From the bottom up."""

FILES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted(ROOT.rglob("*.py"))}
MODULES = {name.removesuffix(".__init__"): path for name, path in FILES.items() if name != "__init__"}


def imported(path: Path) -> set[str]:
    """The modules of the analyses that a file imports, their names without the common beginning."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PREFIX):
            module = str(node.module).removeprefix(PREFIX)
            names = {f"{module}.{alias.name}" for alias in node.names}
            # `from package import module` imports the module, and anything else the package.
            found |= (names & MODULES.keys()) | ({module} if names - MODULES.keys() else set())
    return found


def test_every_module_lies_in_a_layer() -> None:
    assert {path.name for path in ROOT.iterdir() if path.name != "__pycache__"} == {
        "__init__.py",
        "synthetic",
        *LAYERS,
    }


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_down(name: str) -> None:
    layer = name.partition(".")[0]
    others = {other.partition(".")[0] for other in imported(MODULES[name])} - {layer}
    if layer == "synthetic":
        below = {other for other in imported(MODULES[name]) if not other.startswith(("frame", "stats", "synthetic"))}
        assert below <= {"tables.table"}
    else:
        assert others <= set(LAYERS[: LAYERS.index(layer)])


def test_there_are_no_circles() -> None:
    TopologicalSorter({name: imported(path) - {name} for name, path in MODULES.items()}).prepare()
