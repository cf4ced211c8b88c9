"""Compiles the layers written in C when the package is installed or built, if there is a compiler.

Hatchling finds this file by the name that pyproject.toml gives.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

KERNELS = Path("reinit_bench", "kernels")
SOURCES, LIBRARY = (KERNELS / "convolution_cpu.c", KERNELS / "norm_cpu.c"), KERNELS / "libcompiled.so"
# Not -ffast-math: a loss that is NaN must stay so.
FLAGS = ("-O3", "-shared", "-fPIC")
# Not -march=native: a cluster's nodes share one installation. What is named here, `kernels.choice.NEEDED` must ask for
# before the library is loaded; other processors get what all of their kind have (of ARM's, NEON).
PROCESSOR_FLAGS = {"x86_64": ("-mavx2", "-mfma")}


class CustomBuildHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into the source tree and put the result into the wheel."""
        library = Path(self.root, LIBRARY)
        if platform.system() != "Linux":
            self.app.display_warning("layers on the CPU are torch's own: ours need Linux")
            return
        # A temporary name until it is complete: a running process may have the old one open.
        made = library.with_suffix(f".{os.getpid()}")
        compiler = shlex.split(os.environ.get("CC", "cc"))
        try:
            flags = FLAGS + PROCESSOR_FLAGS.get(platform.machine(), ())
            words = [*compiler, *flags, "-o", made, *SOURCES, "-lm"]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=self.root)
        except (OSError, subprocess.CalledProcessError) as error:
            made.unlink(missing_ok=True)
            self.app.display_warning(f"layers on the CPU are torch's own: {error}")
            return
        made.replace(library)
        build_data["artifacts"].append(LIBRARY.as_posix())
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
