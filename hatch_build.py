"""Compiles the layers that are written in C when the package is installed or built; without a compiler it does not.

Hatchling finds this file by the name that pyproject.toml gives.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODELS = Path("reinit_bench", "models")
SOURCES, LIBRARY = (MODELS / "convolution_cpu.c", MODELS / "norm_cpu.c"), MODELS / "libcompiled.so"
# Not -march=native: a cluster's nodes share one installation. Not -ffast-math: a loss that is NaN must stay so.
FLAGS = ("-O3", "-mavx2", "-mfma", "-shared", "-fPIC")


class CustomBuildHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into the source tree and put the result into the wheel."""
        library = Path(self.root, LIBRARY)
        compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
        if platform.system() != "Linux" or platform.machine() != "x86_64" or compiler is None:
            self.app.display_warning("layers on the CPU are torch's own: ours need Linux, x86-64 and a C compiler")
            return
        # Another name until it is whole: a process at work may have the old one open.
        made = library.with_suffix(f".{os.getpid()}")
        done = subprocess.run(
            [compiler, *FLAGS, "-o", made, *SOURCES, "-lm"], capture_output=True, text=True, cwd=self.root
        )
        if done.returncode:
            self.app.display_warning(f"layers on the CPU are torch's own: {compiler} failed: {done.stderr.strip()}")
            made.unlink(missing_ok=True)
            return
        made.replace(library)
        build_data["artifacts"].append(LIBRARY.as_posix())
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-linux_x86_64"
