"""Imports go one way, and what must answer at once loads nothing slow."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import reinit_bench

PACKAGE = Path(reinit_bench.__file__).parent
LAYERS = [
    {"settings"},
    {"randomness", "config", "rounds", "conf_dir", "provenance"},
    {"store", "sharing"},
    {"lease"},
    {"data", "models"},
    {"methods", "training"},
    {"parts"},
    {"journal", "reporting", "diagnostics"},
    {"result", "trunks"},
    {"experiment"},
    {"sweep", "analysis", "doctor"},
    {"compose"},
    {"commands"},
    {"help"},
    {"cli"},
]
"""From the bottom up: a module imports from layers below its own, or from its own part."""

FORBIDDEN = {
    "methods": {"data", "training"},
    "training": {"methods"},
    "analysis": {"training", "methods", "models", "parts", "experiment"},
}
KNOW_HYDRA = {"cli.py", "compose.py"}


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imported(path: Path, *, lazy: bool = True) -> set[str]:
    """Names of modules that a file imports; with lazy=False only those that importing it imports."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if lazy else iter(tree.body)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def parts_imported(path: Path) -> set[str]:
    inside = {name.split(".")[1] for name in imported(path) if name.startswith("reinit_bench.")}
    return {name for name in inside if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()}


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    rank = {name: level for level, names in enumerate(LAYERS) for name in names}
    own = part_of(path)
    if own == "__init__":
        assert parts_imported(path) == set()
        return
    for other in parts_imported(path) - {own}:
        assert rank[other] < rank[own], f"{own} imports {other}, which lies above it or beside it"
        assert other not in FORBIDDEN.get(own, set()), f"{own} must not import {other}"


def test_hydra_stays_at_the_edge() -> None:
    knowing = {
        str(path.relative_to(PACKAGE))
        for path in FILES
        if any(name.split(".")[0] in ("hydra", "omegaconf", "hydra_plugins") for name in imported(path))
    }
    assert knowing == KNOW_HYDRA


@pytest.mark.parametrize(
    "words",
    [["--help"], ["plan", "study=demo"], ["status"], ["tables", "2"], ["report"], ["doctor"]],
    ids=lambda words: words[0],
)
def test_what_answers_at_once_loads_no_torch(words: list[str], tmp_path: Path) -> None:
    script = (
        "import sys; from reinit_bench.cli import main; code = main(sys.argv[1:]);"
        "print('LOADED', sorted({'torch', 'sklearn', 'wandb', 'tensorflow'} & set(sys.modules)), code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.splitlines()[-1] == "LOADED [] 0"


def test_help_does_not_even_load_hydra() -> None:
    script = "import sys; from reinit_bench.cli import main; main(['--help']); print('hydra' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
