"""Imports go one way, and what must answer at once loads nothing slow."""

from __future__ import annotations

import ast
import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from factories import tiny_experiment, write_result

import reinit_bench

PACKAGE = Path(reinit_bench.__file__).parent
LAYERS = (
    "core",
    "store",
    "data",
    "analysis",
    "kernels",
    "models",
    "methods",
    "training",
    "diagnostics",
    "reporting",
    "run",
    "sweep",
    "cli",
)
"""The packages from the bottom up: each imports from packages before it, or from itself."""

FORBIDDEN = {
    "analysis": {"data"},
    "methods": {"data"},
    "training": {"methods"},
}
"""Packages that lie below and must not be imported all the same."""

KNOW_HYDRA = {"cli/main.py", "cli/compose.py", "cli/words.py"}


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


@functools.cache
def imported(path: Path) -> set[str]:
    """Names of the modules that a file imports, at its top or later."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def packages_imported(path: Path) -> set[str]:
    inside = {name.split(".")[1] for name in imported(path) if name.startswith("reinit_bench.")}
    return {name for name in inside if (PACKAGE / name).is_dir()}


FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_package_has_its_layer_and_nothing_else_lies_at_the_root() -> None:
    found = {path.name for path in PACKAGE.iterdir() if path.name not in ("__pycache__", "conf", "paper")}
    assert found == {"__init__.py", "__main__.py", "py.typed", *LAYERS}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    own = part_of(path)
    rank = LAYERS.index(own) if own not in ("__init__", "__main__") else len(LAYERS)
    for other in packages_imported(path) - {own}:
        assert LAYERS.index(other) < rank, f"{own} imports {other}, which lies above it"
        assert other not in FORBIDDEN.get(own, set()), f"{own} must not import {other}"


ANALYSIS = ("frame", "stats", "tables", "figures", "report")
"""The layers of the analyses, from the bottom up; `synthetic` adds tables, which are found by being there."""


@pytest.mark.parametrize("path", sorted((PACKAGE / "analysis").rglob("*.py")), ids=lambda path: path.stem)
def test_imports_within_the_analyses_go_down(path: Path) -> None:
    own = path.relative_to(PACKAGE / "analysis").parts[0].removesuffix(".py")
    others = {name.split(".")[2] for name in imported(path) if name.startswith("reinit_bench.analysis.")} - {own}
    if own == "synthetic":
        assert others <= {"frame", "stats", "tables"}
    elif own != "__init__":
        assert others <= set(ANALYSIS[: ANALYSIS.index(own)])


def test_hydra_stays_at_the_edge() -> None:
    knowing = {
        str(path.relative_to(PACKAGE))
        for path in FILES
        if any(name.split(".")[0] in ("hydra", "omegaconf", "hydra_plugins") for name in imported(path))
    }
    assert knowing == KNOW_HYDRA


def test_tensorflow_stays_with_what_prepares_data() -> None:
    knowing = {path for path in FILES if any(name.startswith("tensorflow") for name in imported(path))}
    assert {path.relative_to(PACKAGE).parts[:2] for path in knowing} == {("data", "preparing")}
    modules = {f"reinit_bench.data.preparing.{path.stem}" for path in knowing}
    outside = [path for path in FILES if path.relative_to(PACKAGE).parts[:2] != ("data", "preparing")]
    assert not {path for path in outside if modules & imported(path)}


def test_the_package_loads_its_names_when_they_are_asked_for() -> None:
    script = """
import sys, reinit_bench
print(sorted(name for name in sys.modules if name.startswith(("torch", "numpy", "reinit_bench."))))
from reinit_bench import *
print(*(f"{thing.__module__}.{thing.__name__}" for thing in (BlockNet, Reinitialization)))
print(hasattr(reinit_bench, "Reinitialisation"))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    names = "reinit_bench.models.blocknet.BlockNet reinit_bench.run.api.Reinitialization"
    version = "['reinit_bench.core', 'reinit_bench.core.version']"
    assert done.stdout.splitlines() == [version, names, "False"]


LOADED_BY_COMMANDS = """
import json, sys
from reinit_bench.cli.main import main

for words in json.loads(sys.argv[1]):
    code = main(words)
    print("LOADED BY", words[0], sorted({"torch", "sklearn", "wandb", "tensorflow"} & set(sys.modules)), code)
"""


@pytest.mark.parametrize(
    "commands",
    [
        [["--help"], ["status"], ["plan", "study=demo"], ["tables", "2"], ["doctor"]],
        pytest.param([["report"]], marks=pytest.mark.slow),
    ],
    ids=lambda commands: " ".join(words[0] for words in commands),
)
def test_commands_that_answer_at_once_load_nothing_slow(tmp_path: Path, commands: list[list[str]]) -> None:
    """One process runs several: what a command loads shows in its line and in those after it."""
    write_result(tmp_path / "results", tiny_experiment())
    done = subprocess.run(
        [sys.executable, "-c", LOADED_BY_COMMANDS, json.dumps(commands)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("LOADED BY")]
    # `doctor` comes last: it has `wandb` look for the account.
    assert told == [f"LOADED BY {words[0]} {['wandb'] if words[0] == 'doctor' else []} 0" for words in commands]


@pytest.mark.slow
def test_a_run_loads_neither_the_compiler_nor_what_it_does_not_use(tmp_path: Path) -> None:
    script = """
import sys
from reinit_bench.cli.main import main

assert main(sys.argv[1:]) == 0
print("LOADED", sorted({"torch._dynamo", "sklearn", "scipy", "pandas", "matplotlib", "wandb"} & set(sys.modules)))
"""
    size = ["dataset.train_examples=20", "image_size=16", "model.width=0.125"]
    words = [*size, "trainer.max_steps=2", "method=lw", "logger=none", "device=cpu"]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1:] == ["LOADED []"], done.stdout + done.stderr


def test_help_does_not_even_load_hydra() -> None:
    script = "import sys; from reinit_bench.cli.main import main; main(['--help']); print('hydra' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
