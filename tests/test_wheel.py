"""The wheel: installed alone it runs from any folder, with its groups and the published numbers inside."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from factories import TINY

REPOSITORY = Path(__file__).parent.parent


@pytest.mark.slow
def test_an_installed_wheel_runs_from_an_empty_folder(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    wheels, installed, empty = tmp_path / "wheels", tmp_path / "installed", tmp_path / "empty"
    empty.mkdir()
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(REPOSITORY)]
    subprocess.run(build, check=True)
    (wheel,) = wheels.glob("*.whl")
    compiles = platform.system() == "Linux" and shutil.which("cc") is not None
    assert wheel.name.endswith(f"-py3-none-linux_{platform.machine()}.whl" if compiles else "-py3-none-any.whl")
    # Its dependencies are those of this environment; the package itself must come from the wheel.
    subprocess.run([*pip, "install", "--no-deps", "--target", str(installed), str(wheel)], check=True)

    def run(*words: str) -> str:
        env = {**os.environ, "PYTHONPATH": str(installed)}
        done = subprocess.run([sys.executable, *words], cwd=empty, env=env, capture_output=True, text=True, check=True)
        return done.stdout

    where = "import reinit_bench, reinit_bench.core.conf_dir as c; print(reinit_bench.__file__, c.conf_dir())"
    for place in run("-c", where).split():
        assert Path(place).is_relative_to(installed)
    assert (installed / "reinit_bench" / "py.typed").is_file()
    assert run("-c", "from reinit_bench import *; print(BlockNet.__name__, Reinitialization.__name__)").split() == [
        "BlockNet",
        "Reinitialization",
    ]
    command = str(installed / "bin" / "reinit-bench")
    assert run(command, "-m", *TINY, "method=fc").splitlines()[-1] == "1 done"
    assert "DIGITS (60)" in run(command, "tables", "6")
    assert "OXFORD-IIIT,scnn,bl,0,,,13.7" in (empty / "results" / "tables" / "table6.csv").read_text()
    assert "Nothing can be concluded" in run(command, "report")
    assert "<h2>Runs</h2>" in (empty / "results" / "report.html").read_text()
    assert {path.name for path in empty.iterdir()} == {"results"}


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["false", "/no/such/compiler"])
def test_without_a_compiler_the_wheel_is_built_without_compiled_layers(tmp_path: Path, compiler: str) -> None:
    source = tmp_path / "source"
    tracked = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    for name in tracked.splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, source / name)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "wheel",
        "-v",
        "--no-deps",
        "--no-build-isolation",
    ]
    env = {**os.environ, "CC": compiler}
    done = subprocess.run([*pip, "--wheel-dir", tmp_path, source], env=env, capture_output=True, text=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]
    assert "layers on the CPU are torch's own" in done.stdout + done.stderr
