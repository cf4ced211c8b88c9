"""Compiles what is written in C when the package is installed or built, if there is a compiler.

Hatchling finds this file by the name that pyproject.toml gives.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = Path("reinit_bench")
LAYERS = tuple(PACKAGE / "kernels" / name for name in ("convolution_cpu.c", "norm_cpu.c"))
# For any processor, and never fused: the resized pixels are numpy's to the bit.
LIBRARIES: dict[Path, tuple[str | Path, ...]] = {
    PACKAGE / "data" / "libresize.so": ("-O3", "-ffp-contract=off", PACKAGE / "data" / "resize.c"),
}
if platform.machine() == "x86_64":
    # Not -march=native: a cluster's nodes share one installation. What is named here, `kernels.available.NEEDED` must
    # ask for before the library is loaded. Not -ffast-math: a loss that is NaN must stay so.
    LIBRARIES[PACKAGE / "kernels" / "libcompiled.so"] = ("-O3", "-mavx2", "-mfma", *LAYERS)


class CustomBuildHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into the source tree and put the results into the wheel."""
        if platform.system() != "Linux":
            self._do_without("ours need Linux")
            return
        try:
            for library, words in LIBRARIES.items():
                self._compile(Path(self.root, library), words)
        except (OSError, subprocess.CalledProcessError) as error:
            self._do_without(error)
            return
        build_data["artifacts"] += [library.as_posix() for library in LIBRARIES]
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"

    def _compile(self, library: Path, words: Sequence[str | Path]) -> None:
        # A temporary name until it is complete: a running process may have the old one open.
        made = library.with_suffix(f".{os.getpid()}")
        command = [*shlex.split(os.environ.get("CC", "cc")), "-shared", "-fPIC", "-o", made, *words, "-lm"]
        try:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.root)
            made.replace(library)
        finally:
            made.unlink(missing_ok=True)

    def _do_without(self, reason: object) -> None:
        self.app.display_warning(f"layers on the CPU are torch's own, photos are resized in numpy: {reason}")
