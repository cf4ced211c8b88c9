"""Compiles the layers written in C when the package is installed or built, if there is a compiler.

Hatchling finds this file by the name that pyproject.toml gives.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

KERNELS = Path("reinit_bench", "kernels")
SOURCES, LIBRARY = (KERNELS / "convolution_cpu.c", KERNELS / "norm_cpu.c"), KERNELS / "libcompiled.so"
# Not -march=native: a cluster's nodes share one installation. Not -ffast-math: a loss that is NaN must stay so.
FLAGS = ("-O3", "-mavx2", "-mfma", "-shared", "-fPIC")


class CustomBuildHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into the source tree and put the result into the wheel."""
        library = Path(self.root, LIBRARY)
        if platform.system() != "Linux" or platform.machine() != "x86_64":
            self.app.display_warning("layers on the CPU are torch's own: ours need Linux and x86-64")
            return
        # A temporary name until it is complete: a running process may have the old one open.
        made = library.with_suffix(f".{os.getpid()}")
        compiler = shlex.split(os.environ.get("CC", "cc"))
        try:
            words = [*compiler, *FLAGS, "-o", made, *SOURCES, "-lm"]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=self.root)
        except (OSError, subprocess.CalledProcessError) as error:
            made.unlink(missing_ok=True)
            self.app.display_warning(f"layers on the CPU are torch's own: {error}")
            return
        made.replace(library)
        build_data["artifacts"].append(LIBRARY.as_posix())
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-linux_x86_64"
